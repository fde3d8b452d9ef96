"""Selection of a worker, and the sentence that explains why none is selected."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from registry.models import Worker, WorkerStatus
from registry.selection import candidates, counts, explain
from registry.workforce import meets
from tests.factories import CapabilityFactory, WorkerFactory

pytestmark = pytest.mark.django_db


def select(requirements: dict[str, Any] | None = None, prefer_gpu: bool = False) -> list[str]:
    return [worker.pk for worker in candidates("echo", requirements or {}, prefer_gpu)]


def test_the_least_recently_selected_comes_first_and_the_never_selected_before_all() -> None:
    for name, minutes in (("a", 1), ("b", 3), ("c", None)):
        last = None if minutes is None else Now() - timedelta(minutes=minutes)
        WorkerFactory(worker_id=name, last_selected_at=last)
    assert select() == ["c", "b", "a"]


def test_only_the_free_are_asked() -> None:
    WorkerFactory(worker_id="busy", status=WorkerStatus.BUSY)
    WorkerFactory(worker_id="cordoned", cordoned=True)
    WorkerFactory(worker_id="gone", status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now())
    WorkerFactory(worker_id="other", announced=("something else",))
    WorkerFactory(worker_id="free")
    assert select() == ["free"]


def test_the_workers_that_announced_a_type_are_listed_once_each(api: APIClient) -> None:
    WorkerFactory(worker_id="both", announced=("echo", "other"))
    WorkerFactory(worker_id="one", announced=("echo",))
    WorkerFactory(worker_id="neighbour", worker_type="second", announced=("echo",))
    WorkerFactory(worker_id="none", announced=("other",))
    rows = api.get("/workers", {"operation_type": "echo"}).json()["results"]
    assert [row["worker_id"] for row in rows] == ["both", "neighbour", "one"]


def test_a_gpu_comes_first_where_it_is_preferred_and_a_cpu_is_the_fallback() -> None:
    WorkerFactory(worker_id="cpu")
    WorkerFactory(worker_id="gpu", capabilities={"gpu": True}, last_selected_at=Now())
    assert select(prefer_gpu=True) == ["gpu", "cpu"]
    assert select() == ["cpu", "gpu"]
    Worker.objects.filter(pk="gpu").update(status=WorkerStatus.BUSY)
    assert select(prefer_gpu=True) == ["cpu"]


@pytest.mark.parametrize(
    ("requirements", "meets"),
    [
        ({"gpu": True, "gpu_memory_gb": 24}, ["large"]),
        ({"gpu": True, "gpu_memory_gb": 8}, ["large", "small"]),
        ({"gpu": False}, ["none"]),
        ({"gpu_name": "A"}, ["large"]),
        ({"gpu_memory_gb": 24.5}, []),
        ({"nonsense": 1}, []),
    ],
    ids=str,
)
def test_a_number_means_at_least_and_anything_else_means_equal(
    requirements: dict[str, Any], meets: list[str]
) -> None:
    WorkerFactory(worker_id="large", capabilities={"gpu": True, "gpu_memory_gb": 24, "gpu_name": "A"})
    WorkerFactory(worker_id="small", capabilities={"gpu": True, "gpu_memory_gb": 8, "gpu_name": "B"})
    WorkerFactory(worker_id="none", capabilities={"gpu": False})
    WorkerFactory(worker_id="liar", capabilities={"gpu": "yes", "gpu_memory_gb": None})
    assert select(requirements) == meets


NAMES = ("gpu", "memory_gb", "0", "contains", "isnull", "a__gte", "x.y", "name with 'quotes'", "%s")
values = st.one_of(
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["A", "B", "true", "5", ""]),
)
capabilities = st.dictionaries(st.sampled_from(NAMES), values | st.none() | st.lists(values, max_size=2))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(has=capabilities, requirements=st.dictionaries(st.sampled_from(NAMES), values, max_size=2))
def test_the_database_and_the_dispatcher_agree_on_who_meets_a_requirement(
    has: dict[str, Any], requirements: dict[str, Any]
) -> None:
    with transaction.atomic():
        WorkerFactory(worker_id="w", capabilities=has)
        assert bool(select(requirements)) is meets(has, requirements)
        transaction.set_rollback(True)


def test_why_nobody_takes_it_is_said_as_it_is() -> None:
    assert explain("echo", {}) == "no worker has ever announced operations of type echo"
    CapabilityFactory()
    assert explain("echo", {}) == "no worker of type echo is registered"
    WorkerFactory(worker_id="a", status=WorkerStatus.BUSY)
    assert explain("echo", {"gpu": True}) == "no echo worker has gpu=true"
    assert explain("echo", {"cores": 64}) == "no echo worker has cores>=64"
    assert explain("echo", {}) == "1 echo worker, busy"
    WorkerFactory(worker_id="b", status=WorkerStatus.BUSY)
    assert explain("echo", {}) == "2 echo workers, all busy"
    WorkerFactory(worker_id="c", cordoned=True)
    WorkerFactory(worker_id="d", status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now())
    assert explain("echo", {}) == "4 echo workers: 2 busy, 1 unavailable, 1 cordoned"
    WorkerFactory(worker_id="e")
    assert explain("echo", {}) == "5 echo workers, 1 about to be assigned"
    assert counts("echo", {}) == {"registered": 5, "busy": 2, "unavailable": 1, "cordoned": 1}
