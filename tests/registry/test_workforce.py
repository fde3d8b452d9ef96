"""Cordon, drain, remove and clean up workers; the history of a worker outlives it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django_q.models import Schedule
from rest_framework.test import APIClient

from operations.actors import SYSTEM
from operations.models import Attempt
from registry import schedules
from registry.cleanup import cleanup
from registry.endpoint import Endpoint
from registry.health_checks import CheckResults
from registry.models import Sweep, Worker, WorkerStatus
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.registry.conftest import Neighbour, row

pytestmark = pytest.mark.django_db


def sweep_once() -> None:
    Sweep.objects.create(kind="health", completed_at=Now())


def make_unavailable(worker_id: str, for_s: float) -> None:
    WorkerFactory(
        worker_id=worker_id,
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since=Now() - timedelta(seconds=for_s),
    )


def test_a_worker_gone_for_five_minutes_is_removed_and_its_history_stays() -> None:
    sweep_once()
    for name in ("a", "b", "c"):
        WorkerFactory(worker_id=name)
    operation = OperationFactory()
    assert claim_next(SYSTEM) is not None
    operation.refresh_from_db()
    Worker.objects.filter(pk=operation.worker_id).update(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now() - timedelta(seconds=301)
    )
    summary = cleanup()
    assert summary is not None
    assert summary["removed_workers"] == [operation.worker_id]
    assert Attempt.objects.get().worker_id == operation.worker_id
    operation.refresh_from_db()
    assert operation.status == "PENDING"


def test_nobody_is_removed_before_the_time_or_when_half_are_gone_or_after_our_own_outage() -> None:
    make_unavailable("early", 299)
    WorkerFactory(worker_id="beside")
    WorkerFactory(worker_id="beside too")
    sweep_once()
    assert cleanup()["removed_workers"] == []
    Worker.objects.filter(pk="early").update(unavailable_since=Now() - timedelta(seconds=301))
    Sweep.objects.all().delete()
    assert cleanup()["held_back"] == ["early"], "no sweep has completed for a minute"
    sweep_once()
    make_unavailable("another", 301)
    assert cleanup()["held_back"] == ["another", "early"], "half of four at once"
    Worker.objects.filter(status=WorkerStatus.TEMPORARILY_UNAVAILABLE).update(
        unavailable_since=Now() - timedelta(seconds=601)
    )
    assert cleanup()["removed_workers"] == ["another", "early"]


def test_old_sweeps_are_pruned_and_the_newest_stays() -> None:
    for days in (3, 2):
        Sweep.objects.create(
            kind="health", started_at=Now() - timedelta(days=days), completed_at=Now() - timedelta(days=days)
        )
    cleanup()
    assert Sweep.objects.filter(kind="health").count() == 1
    assert Sweep.objects.filter(kind="cleanup").count() == 1


def test_staff_cordons_with_a_reason_and_others_may_not(staff_api: APIClient, api: APIClient) -> None:
    WorkerFactory(worker_id="w")
    assert api.post("/workers/w/cordon", {"reason": "x"}, format="json").status_code == 403
    answer = staff_api.post("/workers/w/cordon", {"reason": "new disk"}, format="json")
    assert answer.status_code == 200
    assert (answer.data["cordoned"], answer.data["cordon_reason"]) == (True, "new disk")
    assert staff_api.post("/workers/w/uncordon").data["cordoned"] is False
    assert staff_api.post("/workers/nobody/cordon", {}, format="json").status_code == 404


def test_a_worker_that_works_is_not_removed(staff_api: APIClient) -> None:
    WorkerFactory(worker_id="w")
    OperationFactory()
    claim_next(SYSTEM)
    answer = staff_api.delete("/workers/w")
    assert answer.status_code == 409
    assert "drain the worker" in answer.json()["detail"]
    WorkerFactory(worker_id="idle")
    assert staff_api.delete("/workers/idle").status_code == 204
    assert not Worker.objects.filter(pk="idle").exists()


def test_a_drained_worker_is_told_to_leave_at_the_next_sweep(neighbour: Neighbour) -> None:
    from registry import health

    stub = neighbour("w")
    Worker.objects.update(cordoned=True, draining=True)
    health.sweep()
    assert stub.draining


def test_a_worker_that_is_to_stay_after_all_is_not_told_to_leave(
    neighbour: Neighbour, staff_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person ends the drain while the workers are asked for their health."""
    from registry import health

    stub = neighbour("w")
    Worker.objects.update(cordoned=True, draining=True)
    check_all = health.check_all

    def uncordon_after_it(endpoints: Sequence[Endpoint]) -> CheckResults:
        results = check_all(endpoints)
        assert staff_api.post("/workers/w/uncordon").status_code == 200
        return results

    monkeypatch.setattr(health, "check_all", uncordon_after_it)
    health.sweep()
    assert not stub.draining


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a", "b", "c"]),
        ("?worker_type=training", ["c"]),
        ("?status=BUSY", ["b"]),
        ("?gpu=true", ["c"]),
        ("?gpu=false", ["a", "b"]),
    ],
)
def test_the_list_is_filtered(api: APIClient, query: str, names: list[str]) -> None:
    WorkerFactory(worker_id="a")
    WorkerFactory(worker_id="b", status=WorkerStatus.BUSY)
    WorkerFactory(worker_id="c", worker_type="training", capabilities={"gpu": True})
    assert [one["worker_id"] for one in api.get(f"/workers{query}").data["results"]] == names


@pytest.mark.parametrize("query", ["?status=GONE", "?gpu=maybe", "?cursor=nonsense"])
def test_a_filter_that_makes_no_sense_is_refused(api: APIClient, query: str) -> None:
    assert 400 <= api.get(f"/workers{query}").status_code < 500


def test_the_list_costs_the_same_queries_for_one_worker_and_for_many(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        WorkerFactory(worker_id=f"w{number}")
    with django_assert_max_num_queries(6):
        assert len(api.get("/workers?limit=30").data["results"]) == 30


def test_the_commands_print_what_programs_and_people_read() -> None:
    WorkerFactory(worker_id="w", endpoint_url="http://127.0.0.1:1")
    call_command("cordon", "w", reason="new disk", stdout=StringIO())
    assert row("w").cordon_reason == "new disk"
    out = StringIO()
    call_command("list_workers", as_json=True, stdout=out)
    assert json.loads(out.getvalue())[0]["worker_id"] == "w"
    out = StringIO()
    call_command("list_workers", stdout=out)
    assert "AVAILABLE (cordoned)" in out.getvalue()
    assert row("w").version in out.getvalue()
    out = StringIO()
    call_command("check_workers", as_json=True, stdout=out)
    assert json.loads(out.getvalue())["failed"] == 1
    out = StringIO()
    call_command("cleanup", stdout=out)
    call_command("uncordon", "w", stdout=StringIO())
    assert not row("w").cordoned
    with pytest.raises(CommandError, match="Unknown worker nobody"):
        call_command("cordon", "nobody")


def test_the_schedules_are_two_rows_that_follow_the_settings(settings: Any) -> None:
    schedules.ensure_schedules()
    settings.HEALTH_INTERVAL_S = 5
    schedules.ensure_schedules()
    assert dict(Schedule.objects.values_list("func", "cron")) == {
        "registry.tasks.health_sweep": "* * * * * */5",
        "registry.tasks.registry_cleanup": "*/5 * * * *",
    }
