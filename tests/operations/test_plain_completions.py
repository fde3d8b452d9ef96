"""A completion in one round trip stores what the long way stores, and leaves everything else to the long way."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from operations import attempts, insertion, interventions, plain_completions, reports, submission
from operations.actors import Actor
from operations.dispatching.claims import Claim
from operations.models import Attempt, Event, Operation, StoredFile, Subscription
from operations.registered_kinds import types_with_completion
from operations.requests import Queueing, Submission
from registry.auth import worker_token
from registry.models import Worker
from tests.claiming import claim_next, start_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_at_once import at_once
from worker_agent.protocol import ArtifactRef, LogLine, MetricPoint, Progress, Report

ME = Actor("user:test")
RESULT = {"profit": 1.5, "text": "é", "nested": {"list": [1, None, True]}}
TIMES = {"created_at", "completed_at", "started_at", "ended_at", "claimed_at", "pushed_at", "deadline", "at"}
UNEQUAL = TIMES | {
    "progress_updated_at",
    "last_selected_at",
    "registered_at",
    "rank",
    "id",
    "operation",
    "report_sha256",
}


def prepare(*, is_accepted: bool = True) -> Claim:
    """Give an operation to a worker of its own."""
    number = Worker.objects.count()
    WorkerFactory(
        worker_id=f"w{number}",
        instance_id="one",
        endpoint_url=f"http://127.0.0.1:{2 + number}",
        protocol_version=2,
    )
    OperationFactory()
    if is_accepted:
        return start_next(ME)
    claim = claim_next(ME)
    assert claim is not None
    return claim


def report_of(claim: Claim, **changes: Any) -> Report:
    message = {"attempt": claim.attempt, "attempt_secret": claim.request.attempt_secret, "instance_id": "one"}
    return Report.model_validate({**message, "outcome": "completed", "result": RESULT, **changes})


def complete(claim: Claim, report: Report, instance_id: str = "one") -> bool:
    return plain_completions.complete(claim.operation_id, claim.endpoint.worker_id, instance_id, report)


def columns(row: Model) -> dict[str, Any]:
    """Return the row's columns; of a moment only whether it is set."""
    values = {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}
    kept = {name: value for name, value in values.items() if name not in UNEQUAL}
    return kept | {name: values[name] is not None for name in TIMES & values.keys()}


def stored(claim: Claim) -> list[dict[str, Any]]:
    """Return everything that an end changes, without the names."""
    operation = Operation.objects.get(pk=claim.operation_id)
    rows = [
        operation,
        operation.attempts.get(),
        Worker.objects.get(pk=claim.endpoint.worker_id),
        *operation.events.order_by("pk"),
    ]
    names = {"worker_id", "endpoint_url", "operation_id", "actor", "reason"}
    return [{name: value for name, value in columns(row).items() if name not in names} for row in rows]


@pytest.mark.django_db
@pytest.mark.parametrize("is_accepted", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"result": None},
        {"progress": Progress(percentage=30.0, step="half", completed=3, total=10)},
        {"instance_id": "two"},
    ],
)
def test_both_ways_store_the_same(changes: dict[str, Any], is_accepted: bool) -> None:
    short, long = prepare(is_accepted=is_accepted), prepare(is_accepted=is_accepted)
    assert complete(short, report_of(short, **changes))
    applied = reports.apply(long.operation_id, long.endpoint.worker_id, report_of(long, **changes))
    assert applied == "applied"
    assert stored(short) == stored(long)
    by_id = {row.operation_id: row for row in Attempt.objects.all()}
    assert by_id[short.operation_id].report_sha256 == by_id[long.operation_id].report_sha256
    actors = [Event.objects.filter(operation=claim.operation_id).last() for claim in (short, long)]
    assert [(event.actor, event.reason) for event in actors if event] == [
        (f"worker:{claim.endpoint.worker_id}", "completed") for claim in (short, long)
    ]


@pytest.mark.django_db
def test_a_repeated_report_finds_itself() -> None:
    claim = prepare()
    assert complete(claim, report_of(claim))
    assert not complete(claim, report_of(claim))
    repeated = reports.apply(claim.operation_id, claim.endpoint.worker_id, report_of(claim))
    assert repeated is reports.ReportStatus.REPEATED


def cancel(claim: Claim) -> None:
    interventions.cancel(claim.operation_id, ME)


def subscribe(claim: Claim) -> None:
    Subscription.objects.create(name="s", channel="webhook", target="http://127.0.0.1:1", kinds=["x"])


def register_again(claim: Claim) -> None:
    Worker.objects.update(instance_id="two")


def remove_worker(claim: Claim) -> None:
    Worker.objects.all().delete()


def lose(claim: Claim) -> None:
    attempts.end(Attempt.objects.get(), attempts.AttemptOutcome.LOST)


def supersede(claim: Claim) -> None:
    Operation.objects.update(attempt=2)


def own_completion(claim: Claim) -> None:
    Operation.objects.update(operation_type=types_with_completion()[0])


def delete(claim: Claim) -> None:
    Operation.objects.all().delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "interfere",
    [cancel, subscribe, register_again, remove_worker, lose, supersede, own_completion, delete],
)
def test_whatever_needs_more_is_left_to_the_long_way(interfere: Callable[[Claim], None]) -> None:
    claim = prepare()
    interfere(claim)
    before = _rows()
    assert not complete(claim, report_of(claim))
    assert _rows() == before


SHA256 = "a" * 64
TIME = "2026-01-01T00:00:00Z"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "failed", "error": {"class": "job", "message": "no"}},
        {"outcome": "cancelled"},
        {"outcome": "interrupted"},
        {"attempt": 2},
        {"attempt_secret": ""},
        {"attempt_secret": "x" * 43},
        {"artifacts": [ArtifactRef(name="a", sha256=SHA256, size=1)]},
        {"metrics": [MetricPoint(seq=1, name="loss", step=1, value=0.5, time=TIME)]},  # type: ignore[arg-type]  # parsed
        {"logs": [LogLine(seq=1, level="info", message="line", time=TIME)]},  # type: ignore[arg-type]  # parsed
    ],
)
def test_a_report_with_more_than_a_result_is_left_to_the_long_way(changes: dict[str, Any]) -> None:
    claim = prepare()
    StoredFile.objects.create(sha256=SHA256, size=1)
    before = _rows()
    assert not complete(claim, report_of(claim, **changes))
    assert _rows() == before


@pytest.mark.django_db
def test_another_worker_completes_nothing() -> None:
    claim, other = prepare(), prepare()
    before = _rows()
    for report in (report_of(claim), report_of(other)):
        assert not plain_completions.complete(claim.operation_id, other.endpoint.worker_id, "one", report)
    assert not complete(claim, report_of(claim), instance_id="two")
    assert _rows() == before


def _rows() -> list[Any]:
    models: tuple[type[Any], ...] = (Operation, Attempt, Worker, Event)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.mark.django_db(transaction=True)
def test_a_result_that_cannot_be_stored_changes_nothing_and_the_session_goes_on() -> None:
    claim = prepare()
    before = _rows()
    for _ in range(8):  # before and after the statement is prepared
        with pytest.raises(DataError):
            complete(claim, report_of(claim).model_copy(update={"result": {"text": "\0"}}))
        assert _rows() == before
    assert complete(claim, report_of(claim))
    assert Operation.objects.get().result == RESULT


@pytest.mark.django_db(transaction=True)
def test_an_operation_that_is_submitted_meanwhile_to_follow_it_is_released() -> None:
    """The completion waits for the lock of a submission that it cannot see yet."""
    claim = prepare()
    following = Submission("echo", {}, Queueing(after=(claim.operation_id,)))

    def submit_slowly() -> bool:
        with transaction.atomic():
            submission.submit(following, insertion.Submitter())
            _until_somebody_waits()
        return True

    def report_later() -> bool:
        _until_locked(claim.operation_id)
        return complete(claim, report_of(claim))

    assert at_once(submit_slowly, report_later) == [True, True]
    follower = Operation.objects.exclude(pk=claim.operation_id).get()
    assert (follower.status, follower.blockers) == ("PENDING", 0)


@pytest.mark.django_db(transaction=True)
def test_of_many_completions_at_once_one_counts() -> None:
    claim = prepare()
    done = at_once(*[lambda: complete(claim, report_of(claim))] * 8)
    assert sorted(done) == [False] * 7 + [True]
    assert Event.objects.filter(to_status="COMPLETED").count() == 1


def _until_somebody_waits() -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    _until(waiting, lambda number: number > 0)


def _until_locked(operation_id: str) -> None:
    skipping = "SELECT count(*) FROM (SELECT 1 FROM operations_operation WHERE operation_id = %s FOR UPDATE SKIP LOCKED) AS free"
    _until(skipping, lambda number: number == 0, operation_id)


def _until(statement: str, is_reached: Callable[[int], bool], *parameters: str) -> None:
    give_up = time.monotonic() + 30
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            (number,) = cursor.fetchone() or (0,)
        if is_reached(number):
            return
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.django_db
def test_a_worker_that_must_register_again_learns_that_whatever_it_sends() -> None:
    claim = prepare()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {worker_token('w0', 'former')}")
    for body in ({}, {"attempt": "x"}, report_of(claim).model_dump(mode="json")):
        response = client.post(f"/operations/{claim.operation_id}/report", body, format="json")
        assert response.status_code == 401
    assert Operation.objects.get().status == "RUNNING"


@pytest.mark.django_db
def test_the_api_needs_no_other_statement() -> None:
    claim = prepare()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {worker_token('w0', 'one')}")
    body = report_of(claim).model_dump(mode="json")
    with CaptureQueriesContext(connection) as queries:
        response = client.post(f"/operations/{claim.operation_id}/report", body, format="json")
    assert (response.status_code, response.json()) == (200, {"status": "applied"})
    statements = [query["sql"].strip() for query in queries]
    # The test runs in a transaction; whether the site is read-only is read once a second.
    others = ("SAVEPOINT", "RELEASE", "SELECT 1 FROM operations_dispatchpause")
    assert [sql.split()[0] for sql in statements if not sql.startswith(others)] == ["SELECT", "WITH"]
