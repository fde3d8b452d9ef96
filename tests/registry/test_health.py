"""The sweep: suspect before lost, set-based writes, and no worker that harms another by its answer."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from operations.actors import SYSTEM
from operations.models import Operation
from operations.registry_adapter import RegistryAdapter
from registry import health, sweeps
from registry.models import Sweep, Worker, WorkerStatus
from tests.calibration import TimeLimit, stretched
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.simulated_agents import Agent
from tests.registry.conftest import Neighbour, row
from worker_agent.testing import Answer, hang, lose_answer, lose_request, status

Honest = Callable[[], Awaitable[web.StreamResponse]]
pytestmark = pytest.mark.django_db


def says(text: str) -> Answer:
    async def answer(_: web.Request, __: Honest) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/json")

    return answer


async def drips(request: web.Request, _: Honest) -> web.StreamResponse:
    """A body that never ends, a byte at a time."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def floods(request: web.Request, _: Honest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(400):
        await response.write(b"x" * 250_000)
    return response


def sweep_once() -> None:
    """Just now, a sweep has completed: we were not away."""
    Sweep.objects.create(kind="health", completed_at=Now())


def test_an_answer_makes_a_worker_available_and_keeps_its_load(neighbour: Neighbour) -> None:
    neighbour(
        "w", status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now(), health_check_failures=3
    )
    assert health.sweep() is not None
    worker = row("w")
    assert (worker.status, worker.health_check_failures, worker.unavailable_since) == ("AVAILABLE", 0, None)
    assert worker.last_healthy_at is not None


def test_the_third_failure_makes_a_worker_suspect_and_an_answer_clears_it(neighbour: Neighbour) -> None:
    stub = neighbour("w")
    stub.instead["health"].extend([status(500)] * 3)
    for failures, state in ((1, "AVAILABLE"), (2, "AVAILABLE"), (3, "TEMPORARILY_UNAVAILABLE")):
        health.sweep()
        assert (row("w").health_check_failures, row("w").status) == (failures, state)
    since = row("w").unavailable_since
    assert since is not None
    health.sweep()
    assert (row("w").status, row("w").unavailable_since) == ("AVAILABLE", None)


def test_the_log_says_once_who_is_gone_and_who_is_back(
    neighbour: Neighbour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stub = neighbour("w-1")
    stub.instead["health"].extend([status(500)] * 4)
    for _ in range(6):
        health.sweep()
    said = [r.msg for r in caplog.records if isinstance(r.msg, dict) and r.msg.get("worker_id") == "w-1"]
    assert [line["event"] for line in said] == [
        "health check failed", "health check failed", "worker is TEMPORARILY_UNAVAILABLE", "worker responds again",
    ]  # fmt: skip
    assert "answered with 500" in said[2]["reason"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says("<html>"), "not a valid Health"),
        (says("[]"), "not a valid Health"),
        (says('{"status": "idle", "worker_id": "w", "instance_id": NaN}'), "not a valid Health"),
        (
            says('{"status": "idle", "worker_id": "another", "instance_id": "x"}'),
            "another worker, or another process",
        ),
        (
            says(json.dumps({"status": "idle", "worker_id": "w", "instance_id": "old"})),
            "another worker, or another process",
        ),
        (status(302), "answered with 302"),
        (status(500, "x" * 10_000), "answered with 500"),
        (status(401), "does not know this backend"),
        (floods, "longer than"),
        (drips, "no response within"),
        (hang, "no response within"),
        (lose_request, "connection broke"),
        (lose_answer, "connection broke"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_answer_is_that_workers_failure_with_its_reason(
    neighbour: Neighbour, settings: Any, answer: Answer, why: str
) -> None:
    if answer in (drips, hang):
        settings.HEALTH_TIMEOUT_S = stretched(0.5)
    hostile = neighbour("w")
    neighbour("beside")
    hostile.instead["health"].append(answer)
    limit = TimeLimit(3)
    summary = health.sweep()
    assert not limit.has_passed()
    assert summary is not None
    assert (summary["healthy"], summary["failed"]) == (1, 1)
    assert row("w").health_check_failures == 1
    assert why in row("w").health_problem
    assert row("beside").health_check_failures == 0


def test_many_workers_are_written_in_a_handful_of_statements(neighbour: Neighbour) -> None:
    for number in range(12):
        stub = neighbour(f"w{number}")
        if number < 4:
            stub.instead["health"].append(status(500))
    sweep_once()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        health.sweep()
    writing = [q["sql"] for q in queries if q["sql"].lstrip().startswith(("UPDATE", "INSERT", "DELETE"))]
    assert len(writing) <= 5, writing
    assert Worker.objects.filter(health_check_failures=1).count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_claimed_while_it_is_asked_stays_busy(neighbour: Neighbour) -> None:
    stub = neighbour("w")

    async def claimed_meanwhile(_: web.Request, honest: Honest) -> web.StreamResponse:
        def claim() -> None:
            Worker.objects.filter(pk="w").update(status=WorkerStatus.BUSY, last_selected_at=Now())
            connection.close()

        await asyncio.to_thread(claim)
        return await honest()

    stub.instead["health"].append(claimed_meanwhile)
    health.sweep()
    assert row("w").status == "BUSY"
    Worker.objects.update(last_selected_at=Now() - timedelta(minutes=1))
    health.sweep()
    assert row("w").status == "AVAILABLE", "the next answer is newer than the claim"


@pytest.mark.django_db(transaction=True)
def test_of_two_sweeps_at_once_one_does_nothing() -> None:
    """lesson W2"""
    held, done = threading.Event(), threading.Event()

    def other() -> None:
        with sweeps.exclusive(Sweep.Kind.HEALTH) as mine:
            assert mine
            held.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(60)
    assert health.sweep() is None
    done.set()
    thread.join(60)
    assert health.sweep() is not None
    assert Sweep.objects.count() == 1


def unavailable(worker_id: str, for_s: float, *, works: bool = True) -> None:
    """A worker that has been suspect for so long, in the middle of an operation."""
    WorkerFactory(worker_id=worker_id, endpoint_url="http://127.0.0.1:1")
    if works:
        OperationFactory()
        assert claim_next(SYSTEM) is not None
    Worker.objects.filter(pk=worker_id).update(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since=Now() - timedelta(seconds=for_s),
        health_check_failures=9,
    )


@pytest.mark.parametrize("answers", [True, False])
def test_an_answer_from_a_workers_former_address_proves_nothing_about_its_new_one(
    neighbour: Neighbour, answers: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process registers again, from an address that cannot be verified, while its former one is asked."""
    stub, operation = neighbour("w"), OperationFactory()
    assert claim_next(SYSTEM) is not None
    settings.HEALTH_FAILURES = 5
    if not answers:
        stub.instead["health"].append(status(500))
    check_all = health.check_all

    def move_after_it(endpoints: Any) -> Any:
        results = check_all(endpoints)
        moved = {
            "endpoint_url": "http://127.0.0.1:1",
            "unavailable_since": Now(),
            "health_problem": "unverified",
        }
        Worker.objects.update(status=WorkerStatus.TEMPORARILY_UNAVAILABLE, **moved)
        return results

    monkeypatch.setattr(health, "check_all", move_after_it)
    health.sweep()
    worker = row("w")
    assert (worker.status, worker.health_problem) == ("TEMPORARILY_UNAVAILABLE", "unverified")
    assert operation.attempts.get().endpoint_url == stub.url


def test_an_answer_of_a_process_that_is_replaced_meanwhile_ends_nothing_of_its_successor() -> None:
    """Whatever is read first, the successor registers and gets an operation before the next reading."""
    agent, worker, operation = Agent("w"), WorkerFactory(worker_id="w", instance_id="old"), OperationFactory()
    agent.instance_id = "old"
    queries = 0

    def replace_after_the_first(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal queries
        result = execute(*arguments)
        queries += 1
        if queries == 1:
            Worker.objects.filter(pk=worker.pk).update(instance_id="new")
            assert claim_next(SYSTEM) is not None
        return result

    with connection.execute_wrapper(replace_after_the_first):
        assert RegistryAdapter().reconcile_health({"w": agent.health()}) == {}
    operation.refresh_from_db()
    assert operation.status == "DISPATCHING"


def statuses() -> list[str]:
    return sorted(Operation.objects.values_list("status", flat=True))


def test_an_operation_is_lost_only_after_its_worker_was_suspect_for_long(neighbour: Neighbour) -> None:
    """lesson W15"""
    neighbour("beside", announced=())
    neighbour("beside too", announced=())
    sweep_once()
    unavailable("w", for_s=30)
    assert health.sweep()["lost"] == 0
    assert statuses() == ["DISPATCHING"]
    Worker.objects.filter(pk="w").update(unavailable_since=Now() - timedelta(seconds=61))
    assert health.sweep()["lost"] == 1
    assert statuses() == ["PENDING"]


def test_nobody_is_lost_in_the_first_round_after_our_own_outage(neighbour: Neighbour) -> None:
    """lessons W7 and W12"""
    neighbour("beside", announced=())
    neighbour("beside too", announced=())
    unavailable("w", for_s=4000)
    first, second = health.sweep(), health.sweep()
    assert (first["away"], first["lost"], first["held_back"]) == (True, 0, ["w"])
    assert (second["away"], second["lost"]) == (False, 1)


def test_half_of_the_workers_gone_at_once_get_the_time_again() -> None:
    sweep_once()
    for number in range(3):
        unavailable(f"w{number}", for_s=61)
    summary = health.sweep()
    assert (summary["lost"], summary["held_back"]) == (0, ["w0", "w1", "w2"])
    Worker.objects.update(unavailable_since=Now() - timedelta(seconds=121))
    assert health.sweep()["lost"] == 3
    assert statuses() == ["PENDING"] * 3


def test_a_wall_clock_that_jumps_changes_nothing(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson W21"""
    neighbour("beside", announced=())
    neighbour("beside too", announced=())
    sweep_once()
    unavailable("w", for_s=30)
    for hours in (-1, 1):
        real = time.time
        monkeypatch.setattr(time, "time", lambda real=real, hours=hours: real() + 3600 * hours)
        summary = health.sweep()
        assert (summary["away"], summary["lost"]) == (False, 0)
    assert statuses() == ["DISPATCHING"]


def test_the_age_of_the_newest_sweep_is_the_databases(neighbour: Neighbour) -> None:
    assert health.age_s() is None
    Sweep.objects.create(kind="health", completed_at=Now() - timedelta(seconds=42))
    age = health.age_s()
    assert age is not None
    assert 42 <= age < 42 + stretched(3)
