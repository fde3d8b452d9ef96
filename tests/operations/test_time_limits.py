"""Time limits: of an attempt, of the wait for the first start, and of a job's silence. Time passes by moving rows."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from ktrdr_site import environment
from ktrdr_site.observability.prometheus import metric_registry
from operations import attempts, interruptions, interventions, reports, stalls
from operations.actors import Actor
from operations.dispatching import time_limits
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Attempt, Operation
from operations.registry_adapter import RegistryAdapter
from registry.models import Worker
from tests.claiming import claim_next, start_next
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from tests.operations.scripted_worker import ScriptedWorker, says
from tests.operations.test_at_once import at_once
from tests.operations.test_dispatch import due, with_workers, work
from worker_agent.protocol import AgentState, Health, OperationError, Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
ECHO = {"operation_type": "echo", "parameters": {}}


def pass_time(seconds: float) -> None:
    """Move every moment of the rows into the past."""
    past = timedelta(seconds=seconds)
    Operation.objects.update(expires_at=F("expires_at") - past)
    Attempt.objects.update(deadline=F("deadline") - past, silent_since=F("silent_since") - past)


def run(**fields: Any) -> Operation:
    """Return an operation that runs."""
    operation = OperationFactory(**fields)
    WorkerFactory()
    start_next(ME)
    operation.refresh_from_db()
    return operation


def report(outcome: Outcome, **fields: Any) -> Report:
    if outcome in (Outcome.FAILED, Outcome.INTERRUPTED):
        fields["error"] = OperationError(error_class="job", message="stopped in the middle")
    return Report(attempt=1, instance_id="any", outcome=outcome, **fields)


def error_of(operation: Operation) -> tuple[str, str, str]:
    operation.refresh_from_db()
    return operation.status, operation.error_class, operation.error_message


def health_of(operation: Operation, silent_s: float | None) -> dict[str, Health]:
    worker = Worker.objects.get(pk=operation.worker_id)
    health = Health(
        status=AgentState.BUSY,
        worker_id=worker.pk,
        instance_id=worker.instance_id,
        current_operation=operation.pk,
        current_attempt=operation.attempt,
        silent_s=silent_s,
    )
    return {worker.pk: health}


# The limits of an operation


def test_a_requests_limits_have_precedence_over_those_of_its_type(api: APIClient, settings: Any) -> None:
    settings.TIMEOUT_S = {"echo": 100, "*": 200}
    settings.EXPIRES_AFTER_S = {"*": 300}
    for name in ("echo", "other"):
        CapabilityFactory(operation_type=name)
    bodies = ({**ECHO, "timeout_s": 5, "expires_after_s": 6}, ECHO, {**ECHO, "operation_type": "other"})
    rows = [Operation.objects.get(pk=api.post("/operations", body).json()["operation_id"]) for body in bodies]
    assert [(row.timeout_s, row.expires_after_s) for row in rows] == [(5, 6), (100, 300), (200, 300)]
    shown = api.get(f"/operations/{rows[0].pk}").json()
    assert (shown["timeout_s"], shown["expires_after_s"], shown["stalled_since"]) == (5, 6, None)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "x", 10**12])
def test_a_limit_that_cannot_be_kept_is_refused(api: APIClient, limit: Any) -> None:
    CapabilityFactory()
    for name in ("timeout_s", "expires_after_s"):
        answer = api.post("/operations", {**ECHO, name: limit})
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize(
    ("text", "limits"),
    [("", {}), ("60", {"*": 60}), ("training=5, *=7", {"training": 5, "*": 7}), ("a.b=1", {"a.b": 1})],
)
def test_limits_are_read_per_type(monkeypatch: pytest.MonkeyPatch, text: str, limits: dict[str, int]) -> None:
    monkeypatch.setenv("KTRDR_TIMEOUT_S", text)
    assert environment.seconds_by_type("KTRDR_TIMEOUT_S") == limits


@pytest.mark.parametrize(
    "text", ["0", "x", "training=", "training=-1", "=", "1.5", "9" * 30, "training=\u0661"]
)
def test_a_wrong_limit_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KTRDR_TIMEOUT_S", text)
    with pytest.raises(ImproperlyConfigured, match=r"^KTRDR_TIMEOUT_S="):
        environment.seconds_by_type("KTRDR_TIMEOUT_S")


# Waiting too long


def test_an_operation_that_was_not_started_in_time_fails_and_ends_its_followers(api: APIClient) -> None:
    CapabilityFactory()
    first, second = (
        result["operation_id"]
        for result in api.post(
            "/operations/batch",
            {"operations": [{**ECHO, "expires_after_s": 60}, {**ECHO, "after": ["#0"]}]},
        ).json()["results"]
    )
    assert time_limits.enforce() == 0
    pass_time(61)
    assert time_limits.enforce() == 1
    assert error_of(Operation.objects.get(pk=first)) == (
        "FAILED", "timeout", "The operation was not started within 60 s.",
    )  # fmt: skip
    assert Operation.objects.get(pk=second).status == "FAILED"
    assert time_limits.enforce() == 0


def test_the_limit_of_the_wait_ends_with_the_first_start_and_begins_again_with_a_retry() -> None:
    operation = run(expires_after_s=60, expires_at=Now() + timedelta(seconds=60))
    pass_time(61)
    interruptions.mark_lost(operation.pk, 1, ME, "gone")
    pass_time(61)
    assert time_limits.enforce() == 0
    interventions.cancel(operation.pk, ME)
    interventions.retry(operation.pk, ME)
    assert time_limits.enforce() == 0
    pass_time(61)
    assert time_limits.enforce() == 1
    assert error_of(operation)[:2] == ("FAILED", "timeout")


def test_a_claim_that_its_worker_rejected_does_not_end_the_limit_of_the_wait() -> None:
    operation = OperationFactory(expires_after_s=60, expires_at=Now() + timedelta(seconds=60))
    WorkerFactory()
    claim_next(ME)
    pass_time(61)
    assert time_limits.enforce() == 0, "a worker may have it"
    interruptions.reject(operation.pk, 1, ME, "busy")
    assert time_limits.enforce() == 1


@pytest.mark.django_db(transaction=True)
def test_an_expiry_and_a_claim_at_once_have_one_winner() -> None:
    for _ in range(20):
        operation = OperationFactory(expires_after_s=1, expires_at=Now() - timedelta(seconds=1))
        worker = WorkerFactory()
        _, claim = at_once(time_limits.enforce, lambda: claim_next(ME))
        operation.refresh_from_db()
        assert operation.status == ("FAILED" if claim is None else "DISPATCHING")
        worker.refresh_from_db()
        assert worker.status == ("AVAILABLE" if claim is None else "BUSY")
        worker.delete()


# Running too long


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.FAILED, Outcome.INTERRUPTED])
def test_an_attempt_over_its_limit_is_cancelled_at_its_worker_and_the_operation_fails(
    outcome: Outcome,
) -> None:
    operation = OperationFactory(timeout_s=30)

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        assert worker.count("DELETE") == 0
        await sync_to_async(pass_time)(31)
        assert await sync_to_async(time_limits.enforce)() == 1
        assert await sync_to_async(time_limits.enforce)() == 0
        await work(dispatcher)
        assert worker.count("DELETE") == 1
        await sync_to_async(due)()  # the worker has not reported: it is asked again
        await work(dispatcher)
        assert worker.count("DELETE") == 2

    with_workers(1, act)
    operation.refresh_from_db()
    assert operation.status == "RUNNING"
    assert reports.apply(operation.pk, operation.worker_id, report(outcome)) == "applied"
    assert error_of(operation) == ("FAILED", "timeout", "The attempt ran longer than its time limit of 30 s.")
    assert [event.kind for event in operation.events.filter(kind="time_limit")] == ["time_limit"]
    assert Worker.objects.get().status == "AVAILABLE"


def test_a_worker_that_no_longer_knows_an_attempt_over_its_limit_ends_it() -> None:
    operation = OperationFactory(timeout_s=30)

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        await sync_to_async(pass_time)(31)
        await sync_to_async(time_limits.enforce)()
        worker.on_cancel = says(404, {})
        await work(dispatcher)

    with_workers(1, act)
    assert error_of(operation)[:2] == ("FAILED", "timeout")


def test_a_job_that_completes_before_it_is_stopped_completes() -> None:
    operation = run(timeout_s=30)
    pass_time(31)
    time_limits.enforce()
    reports.apply(operation.pk, operation.worker_id, report(Outcome.COMPLETED, result={"answer": 42}))
    assert error_of(operation)[:2] == ("COMPLETED", "")


def test_a_cancellation_has_precedence_over_a_time_limit() -> None:
    operation = run(timeout_s=30)
    pass_time(31)
    time_limits.enforce()
    interventions.cancel(operation.pk, ME)
    reports.apply(operation.pk, operation.worker_id, report(Outcome.CANCELLED))
    assert error_of(operation)[0] == "CANCELLED"


def test_a_cancelled_operation_is_not_stopped_twice() -> None:
    operation = run(timeout_s=30)
    interventions.cancel(operation.pk, ME)
    pass_time(31)
    assert time_limits.enforce() == 0


def test_a_lost_attempt_over_its_limit_is_not_tried_again_and_a_later_attempt_has_its_own_limit() -> None:
    operation = run(timeout_s=30)
    interruptions.mark_lost(operation.pk, 1, ME, "gone")
    Operation.objects.update(not_before=None)
    WorkerFactory()
    start_next(ME)
    pass_time(29)
    assert time_limits.enforce() == 0
    pass_time(2)
    assert time_limits.enforce() == 1
    interruptions.mark_lost(operation.pk, 2, ME, "gone")
    assert error_of(operation)[:2] == ("FAILED", "timeout")


def test_accepting_twice_neither_extends_the_limit_nor_forgets_the_stop() -> None:
    operation = run(timeout_s=30)
    pass_time(31)
    attempts.accept(operation.pk, 1, ME)
    assert time_limits.enforce() == 1
    attempts.accept(operation.pk, 1, ME)
    assert Attempt.objects.get().contact_after is not None


def test_a_limit_that_raises_for_one_operation_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (
        OperationFactory(expires_after_s=1, expires_at=Now() - timedelta(seconds=number)) for number in (2, 1)
    )
    expire = time_limits.expire

    def raising(operation_id: str) -> bool:
        if operation_id == bad.pk:
            raise ValueError("one bad operation")
        return expire(operation_id)

    monkeypatch.setattr(time_limits, "expire", raising)
    assert time_limits.enforce() == 1
    assert [error_of(row)[0] for row in (bad, good)] == ["PENDING", "FAILED"]


# Reporting nothing


def test_a_silent_job_is_stalled_until_it_reports_again(
    api: APIClient, client: Client, staff: User, settings: Any
) -> None:
    settings.STALLED_AFTER_S = 60
    operation = run()
    client.force_login(staff)
    for silent_s, is_stalled in ((59, False), (61, True), (71, True), (2, False), (None, False), (61, True)):
        RegistryAdapter().reconcile_health(health_of(operation, silent_s))
        assert (api.get(f"/operations/{operation.pk}").json()["stalled_since"] is not None) is is_stalled
        page = client.get(f"/dashboard/operations/{operation.pk}").content.decode()
        assert ("the job has reported nothing since" in page) is is_stalled
    (sample,) = next(
        metric.samples for metric in metric_registry().collect() if metric.name == "ktrdr_stalled_operations"
    )
    assert (sample.labels, sample.value) == ({"operation_type": "echo"}, 1)
    assert "stalled" in client.get("/dashboard/").content.decode()


def test_the_silence_of_another_attempt_or_an_unbelievable_one_marks_nothing(settings: Any) -> None:
    settings.STALLED_AFTER_S = 60
    operation = run()
    (worker_id, health), *_ = health_of(operation, 1e9).items()
    for changes in ({"current_attempt": 2}, {"current_operation": "other"}, {"current_attempt": 2**31 - 1}):
        stalls.record({worker_id: health.model_copy(update=changes)})
    assert Attempt.objects.get().silent_since is None
    stalls.record({worker_id: health})
    assert Attempt.objects.get().silent_since is not None
    for silent_s in (-1, 1e10, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="silent_s"):
            Health.model_validate({**health.model_dump(), "silent_s": silent_s})


def test_a_healthy_system_writes_no_silence(django_assert_num_queries: Any, settings: Any) -> None:
    settings.STALLED_AFTER_S = 60
    health = health_of(run(), 1)
    before = Attempt.objects.extra(select={"version": "xmin"}).get().version
    with django_assert_num_queries(1):
        stalls.record(health)
    assert Attempt.objects.extra(select={"version": "xmin"}).get().version == before


def test_a_stalled_operation_is_ended_only_if_the_settings_say_so(settings: Any) -> None:
    settings.STALLED_AFTER_S = 60
    operation = run()
    stalls.record(health_of(operation, 1000))
    assert time_limits.enforce() == 0
    settings.END_STALLED_AFTER_S = 1200
    assert time_limits.enforce() == 0
    pass_time(201)
    assert time_limits.enforce() == 1
    reports.apply(operation.pk, operation.worker_id, report(Outcome.CANCELLED))
    assert error_of(operation) == (
        "FAILED", "timeout", "The job reported no progress, metric or log line for 1200 s.",
    )  # fmt: skip
