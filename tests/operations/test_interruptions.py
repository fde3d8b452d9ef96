"""Planned shutdowns, interruptions and rejections use up no attempt; only endless ones without progress end an operation."""

from typing import Any

import pytest
from django.db.models.functions import Now

from operations import attempts, interruptions, reports
from operations.actors import Actor
from operations.interruptions import MAX_INTERRUPTIONS, MAX_QUICK
from operations.models import Attempt, Checkpoint, Operation
from operations.registry_adapter import RegistryAdapter
from registry.models import Worker
from tests.claiming import claim_next
from tests.factories import AttemptFactory, OperationFactory, WorkerFactory
from worker_agent.protocol import ErrorClass, OperationError, Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


def start(operation: Operation) -> Attempt:
    """Claim the operation, as soon as it may be, for a new worker; it runs."""
    Worker.objects.all().delete()
    WorkerFactory()
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    assert claim_next(ME) is not None
    attempt = operation.attempts.latest("number")
    attempts.accept(operation.pk, attempt.number, ME)
    return attempt


def shut_down(operation: Operation, attempt: Attempt) -> None:
    cause = OperationError(error_class=ErrorClass.LOST, message="the worker shuts down")
    report = Report(attempt=attempt.number, instance_id="x", outcome=Outcome.INTERRUPTED, error=cause)
    assert reports.apply(operation.pk, attempt.worker_id, report) == "applied"


def deregister(operation: Operation, attempt: Attempt) -> None:
    assert RegistryAdapter().mark_interrupted({attempt.worker_id: attempt.instance_id}, "shut down") == 1


def status_of(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.status


@pytest.mark.parametrize("leave", [shut_down, deregister])
def test_five_shutdowns_and_a_loss_do_not_fail_an_operation(leave: Any) -> None:
    operation = OperationFactory(max_attempts=2)
    for _ in range(5):
        leave(operation, start(operation))
        assert status_of(operation) == "PENDING"
    interruptions.mark_lost(operation.pk, start(operation).number, ME, "gone")
    assert status_of(operation) == "PENDING"
    interruptions.mark_lost(operation.pk, start(operation).number, ME, "gone")
    assert status_of(operation) == "FAILED"
    assert operation.error_message == "The worker was lost 2 times; last reason: gone."


def make_attempts(operation: Operation, number: int, outcome: str) -> None:
    for _ in range(number):
        operation.attempt += 1
        AttemptFactory(operation=operation, number=operation.attempt, outcome=outcome, ended_at=Now())
    operation.save(update_fields=["attempt"])


def test_interruptions_without_progress_are_bounded() -> None:
    operation = OperationFactory()
    make_attempts(operation, MAX_INTERRUPTIONS - 2, "interrupted")
    shut_down(operation, start(operation))
    assert status_of(operation) == "PENDING"
    shut_down(operation, start(operation))
    assert status_of(operation) == "FAILED"
    assert operation.error_message.startswith("The operation was interrupted 100 times without progress")


def test_interruptions_with_progress_are_not() -> None:
    operation = OperationFactory()
    make_attempts(operation, 2 * MAX_INTERRUPTIONS, "interrupted")
    Checkpoint.objects.create(operation=operation, attempt=operation.attempt, step=7)
    shut_down(operation, start(operation))
    assert status_of(operation) == "PENDING"
    assert interruptions.count_vain(operation) == 1


@pytest.mark.parametrize(("earlier", "pauses"), [(0, False), (MAX_QUICK, True)])
def test_many_rejections_are_followed_by_a_pause(earlier: int, pauses: bool, settings: Any) -> None:
    settings.RETRY_BACKOFF_S = 1000
    operation = OperationFactory()
    make_attempts(operation, earlier, "rejected")
    WorkerFactory()
    assert claim_next(ME) is not None
    assert interruptions.reject(operation.pk, earlier + 1, ME, "busy")
    operation.refresh_from_db()
    assert (operation.not_before is not None) is pauses


def test_what_nobody_takes_fails_in_the_end() -> None:
    operation = OperationFactory()
    make_attempts(operation, MAX_INTERRUPTIONS - 1, "rejected")
    WorkerFactory()
    assert claim_next(ME) is not None
    assert not interruptions.reject(operation.pk, operation.attempt + 1, ME, "busy")
    assert status_of(operation) == "FAILED"
    assert operation.error_message == "No worker took the operation 100 times; last reason: busy."
