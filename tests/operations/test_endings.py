"""A status and the end of its attempt are one statement: both change, or neither."""

from typing import Any

import pytest
from django.db import transaction

from operations import attempts, lifecycle
from operations.actors import Actor
from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from operations.states import Status
from registry.models import Worker
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from worker_agent.protocol import ErrorClass, OperationError

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


@pytest.fixture
def attempt() -> Attempt:
    """Claimed, and not yet accepted."""
    WorkerFactory()
    OperationFactory()
    assert claim_next(ME) is not None
    return Attempt.objects.select_related("operation").get()


def stored() -> Any:
    return (
        list(Operation.objects.values("status", "attempt", "started_at", "completed_at")),
        list(Attempt.objects.values("outcome", "ended_at", "started_at")),
        list(Worker.objects.values("status")),
        Operation.objects.get().events.count(),
    )


def end(attempt: Attempt, target: Status, outcome: AttemptOutcome) -> None:
    with transaction.atomic():
        operation = lifecycle.lock(attempt.operation_id)
        ending = attempts.ending(attempt, outcome, "why", "a" * 64, has_run=True)
        if target is Status.FAILED:
            error = OperationError(error_class=ErrorClass.JOB, message="broken")
            lifecycle.fail(operation, error, ME, ending=ending)
        else:
            lifecycle.move(operation, target, ME, "done", ending=ending)


ENDS = [
    (Status.COMPLETED, AttemptOutcome.COMPLETED),
    (Status.FAILED, AttemptOutcome.FAILED),
    (Status.PENDING, AttemptOutcome.INTERRUPTED),
]


@pytest.mark.parametrize(("target", "outcome"), ENDS)
def test_the_attempt_ends_its_worker_is_free_and_both_have_started(
    attempt: Attempt, target: Status, outcome: AttemptOutcome
) -> None:
    end(attempt, target, outcome)
    attempt.refresh_from_db()
    operation = Operation.objects.get()
    assert (operation.status, attempt.outcome, attempt.error) == (target, outcome, "why")
    assert (attempt.ended_at is None, attempt.report_sha256) == (False, "a" * 64)
    assert operation.started_at == attempt.started_at is not None
    assert operation.expires_at is None
    assert Worker.objects.get().status == "AVAILABLE"
    assert operation.events.last().to_status == target  # type: ignore[union-attr]  # the change made it


@pytest.mark.parametrize(("target", "outcome"), ENDS)
@pytest.mark.parametrize("stale", ["ended", "superseded"])
def test_nothing_changes_for_an_attempt_that_has_ended_or_is_not_the_newest(
    attempt: Attempt, stale: str, target: Status, outcome: AttemptOutcome
) -> None:
    if stale == "ended":
        attempts.end(attempt, AttemptOutcome.LOST)
    else:
        Attempt.objects.filter(pk=attempt.pk).update(number=2)
        Operation.objects.update(attempt=2)
        attempt = Attempt.objects.create(
            operation=attempt.operation,
            number=1,
            worker_id="w",
            instance_id="i",
            ended_at=attempt.claimed_at,
            outcome="lost",
        )
    before = stored()
    with pytest.raises(lifecycle.WrongState, match="its attempt has ended"):
        end(attempt, target, outcome)
    assert stored() == before


def test_an_end_is_one_statement(attempt: Attempt, django_assert_num_queries: Any) -> None:
    operation = lifecycle.lock(attempt.operation_id)
    ending = attempts.ending(attempt, AttemptOutcome.COMPLETED)
    with django_assert_num_queries(1):
        lifecycle.move(operation, Status.COMPLETED, ME, "done", ending=ending)
