"""A worker that fails for reasons of its own is cordoned and tried again; one that had bad operations is not."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.db.transaction import atomic
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access.models import AuditEntry
from ktrdr_site.observability.prometheus import metric_registry
from operations import attempts, interruptions, reports, sick_workers
from operations.actors import Actor
from operations.models import Attempt, Delivery, Operation, Subscription
from registry import automatic_cordons, worker_actions
from registry.models import Worker
from tests.factories import OperationFactory, WorkerFactory
from tests.interleaving import act_before_commit_of
from worker_agent.protocol import OperationError, Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


@pytest.fixture
def sick() -> Worker:
    return WorkerFactory(worker_id="sick")


@pytest.fixture
def other() -> Worker:
    return WorkerFactory(worker_id="other")


def end(worker: Worker, how: str, operation: Operation | None = None, took_s: float = 0.0) -> bool:
    """Run an operation on the worker to this end; return whether that cordoned the worker."""
    operation = operation or OperationFactory()
    number = operation.attempt + 1
    worker.refresh_from_db()
    attempts.begin([attempts.Start(operation, worker)], ME, push=True)
    attempts.accept(operation.pk, number, ME)
    Attempt.objects.filter(operation=operation, number=number).update(
        started_at=Now() - timedelta(seconds=took_s)
    )
    if how == "lost":
        interruptions.mark_lost(operation.pk, number, ME, "gone")
    else:
        fields: dict[str, Any] = {"outcome": how, "result": {}}
        if how not in ("completed", "cancelled", "interrupted"):
            error = OperationError(error_class=how, message="it went wrong")
            fields = {"outcome": Outcome.FAILED, "error": error}
        if how == "interrupted":
            fields["error"] = OperationError(error_class="lost", message="shutdown")
        reports.apply(operation.pk, worker.pk, Report(attempt=number, instance_id="any", **fields))
    operation.refresh_from_db()
    if how in ("completed", "cancelled", "interrupted"):
        return False
    return sick_workers.examine(worker.pk)


def pass_time(seconds: float) -> None:
    past = timedelta(seconds=seconds)
    Worker.objects.update(probe_at=F("probe_at") - past, trusted_since=F("trusted_since") - past)
    Attempt.objects.update(claimed_at=F("claimed_at") - past, ended_at=F("ended_at") - past)


@pytest.mark.parametrize("how", ["lost", "out_of_memory", "job"])
def test_three_failures_in_a_row_while_another_worker_succeeds_cordon_it(
    sick: Worker, other: Worker, how: str, client: Client, staff: Any
) -> None:
    Subscription.objects.create(name="x", channel="email", target="x@example.org", kinds=["worker.cordoned"])
    end(other, "completed")
    assert [end(sick, how) for _ in range(3)] == [False, False, True]
    sick.refresh_from_db()
    assert (sick.cordoned, sick.sickness) == (True, 1)
    assert "Its last 3 operations ended badly" in sick.cordon_reason
    entry = AuditEntry.objects.get()
    assert (entry.act, entry.subject, entry.actor) == ("worker_cordoned", "sick", "health")
    assert Delivery.objects.get().payload["type"] == "worker.cordoned"
    client.force_login(staff)
    page = client.get("/dashboard/workers/sick").content.decode()
    assert "Cordoned automatically" in page
    metrics = {metric.name: metric for metric in metric_registry().collect()}
    (sample,) = metrics["ktrdr_sick_workers"].samples
    assert (sample.labels, sample.value) == ({"worker_type": "echo"}, 1)


@pytest.mark.parametrize(
    "ends",
    [
        ("lost", "lost", "completed", "lost"),
        ("job", "invalid", "job", "job"),
        ("job", "job", "timeout"),
        ("cancelled", "cancelled", "cancelled", "job"),
        ("interrupted", "interrupted", "interrupted", "lost"),
    ],
    ids=str,
)
def test_other_ends_are_no_sickness(sick: Worker, other: Worker, ends: tuple[str, ...]) -> None:
    end(other, "completed")
    results = [end(sick, how) for how in ends]
    assert not any(results)


def test_jobs_that_fail_after_some_time_are_their_own_fault(sick: Worker, other: Worker) -> None:
    end(other, "completed")
    assert not any(end(sick, "job", took_s=30) for _ in range(5))


def test_operations_that_fail_everywhere_cordon_nobody(sick: Worker, other: Worker) -> None:
    for _ in range(6):
        assert not end(sick, "job")
        assert not end(other, "job")
    assert not Worker.objects.filter(cordoned=True).exists()


def test_one_operation_alone_cordons_nobody(sick: Worker, other: Worker) -> None:
    end(other, "completed")
    operation = OperationFactory(max_attempts=9)
    for _ in range(5):
        Operation.objects.update(not_before=None)
        assert not end(sick, "lost", operation)


def test_successes_of_another_type_or_of_long_ago_do_not_count(sick: Worker, other: Worker) -> None:
    end(other, "completed", OperationFactory(operation_type="different"))
    end(other, "completed")
    pass_time(sick_workers.COMPARED_S + 60)
    assert not any(end(sick, "lost") for _ in range(5))


@pytest.mark.parametrize(
    "changes",
    [{"cordoned": True}, {"worker_type": "different"}, {"status": "TEMPORARILY_UNAVAILABLE"}, None],
    ids=str,
)
def test_the_only_usable_worker_of_its_type_is_not_cordoned(
    sick: Worker, other: Worker, changes: dict[str, Any] | None
) -> None:
    end(other, "completed")
    if changes is None:
        other.delete()
    else:
        moment = Now() if "status" in changes else None
        Worker.objects.filter(pk=other.pk).update(**changes, unavailable_since=moment)
    assert not any(end(sick, "lost") for _ in range(5))


@pytest.mark.django_db(transaction=True)
def test_of_two_sick_workers_that_are_examined_at_the_same_moment_one_stays(
    sick: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third one did better, and is not usable any more."""
    healthy = WorkerFactory()
    for _ in range(20):
        end(healthy, "completed")
    Worker.objects.filter(pk=healthy.pk).update(cordoned=True)
    with monkeypatch.context() as patch:
        patch.setattr(sick_workers, "examine", lambda worker_id: False)
        for worker in (sick, other):
            assert not any(end(worker, "lost") for _ in range(3))
    first, second = (partial(sick_workers.examine, worker.pk) for worker in (sick, other))
    assert not act_before_commit_of(first, atomic(second))
    assert set(Worker.objects.filter(cordoned=False).values_list("pk", flat=True)) == {"other"}


def test_after_the_pause_one_operation_decides(sick: Worker, other: Worker) -> None:
    end(other, "completed")
    for _ in range(3):
        end(sick, "lost")
    for pause in (60, 120, 240):
        pass_time(pause - 1)
        assert automatic_cordons.release_due() == []
        pass_time(2)
        assert automatic_cordons.release_due() == ["sick"]
        end(other, "completed")
        assert end(sick, "lost"), "one failure is enough on probation"
    pass_time(481)
    automatic_cordons.release_due()
    end(sick, "completed")
    sick.refresh_from_db()
    assert (sick.cordoned, sick.sickness, sick.probe_at) == (False, 0, None)
    end(other, "completed")
    assert [end(sick, "lost") for _ in range(3)] == [False, False, True], "three are needed again"


def test_the_pause_is_bounded(settings: Any) -> None:
    assert [automatic_cordons.pause_s(number) for number in (0, 1, 5, 6, 999)] == [60, 120, 1920, 3600, 3600]
    settings.SICK_PAUSE_S = 1
    assert automatic_cordons.pause_s(2) == 4


def test_a_persons_word_replaces_the_automatic_cordon(sick: Worker, other: Worker) -> None:
    end(other, "completed")
    for _ in range(3):
        end(sick, "lost")
    worker_actions.cordon("sick", ME, "new memory")
    pass_time(10_000)
    assert automatic_cordons.release_due() == []
    worker_actions.uncordon("sick", ME)
    end(other, "completed")
    assert [end(sick, "lost") for _ in range(3)] == [False, False, True], "earlier failures are forgotten"


def test_a_failure_is_examined_when_its_transaction_commits(
    sick: Worker, other: Worker, django_capture_on_commit_callbacks: Any
) -> None:
    end(other, "completed")
    operations = [OperationFactory() for _ in range(3)]
    with django_capture_on_commit_callbacks(execute=True):
        for operation in operations:
            sick.refresh_from_db()
            attempts.begin([attempts.Start(operation, sick)], ME, push=True)
            interruptions.mark_lost(operation.pk, 1, ME, "gone")
    sick.refresh_from_db()
    assert sick.cordoned


@pytest.mark.parametrize("name", ["examine", "_newest_failures", "_others_do_better", "_has_substitute"])
def test_an_examination_that_raises_stops_nothing(
    sick: Worker,
    other: Worker,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    end(other, "completed")
    raised = []

    def fail(*values: Any) -> bool:
        raised.append(name)
        raise ValueError("one bad worker")

    operations = [OperationFactory(max_attempts=1) for _ in range(3)]
    for operation in operations:
        sick.refresh_from_db()
        attempts.begin([attempts.Start(operation, sick)], ME, push=True)
        if operation is operations[-1]:
            monkeypatch.setattr(sick_workers, name, fail)
        with django_capture_on_commit_callbacks(execute=True):
            interruptions.mark_lost(operation.pk, 1, ME, "gone")
    assert raised
    assert {Operation.objects.get(pk=row.pk).status for row in operations} == {"FAILED"}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=10, max_size=25))
def test_bad_operations_in_any_order_leave_every_worker_usable_or_with_a_probe(
    db: None, runs: list[tuple[int, bool]]
) -> None:
    Operation.objects.all().delete()
    Worker.objects.all().delete()
    workers = [WorkerFactory(worker_id=f"w{number}") for number in range(4)]
    for number, is_good in runs:
        worker = Worker.objects.get(pk=workers[number].pk)
        if not worker.cordoned:
            end(worker, "completed" if is_good else "job")
    assert not Worker.objects.filter(cordoned=True, probe_at=None).exists()
    assert Worker.objects.filter(cordoned=False).exists()
    pass_time(4000)
    automatic_cordons.release_due()
    assert not Worker.objects.filter(cordoned=True).exists()
