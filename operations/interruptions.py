"""Ends attempts whose worker rejected them, was stopped or was lost; their operations are requeued, within bounds."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Max
from django.db.models.functions import Now

from access.backoff import full_jitter_s
from access.conflicts import atomic_with_retries
from operations import attempts, time_limits
from operations.actors import Actor
from operations.lifecycle import MAX_WAITING_REASON, fail, lock, move
from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from operations.notifications import outbox
from operations.states import Status
from worker_agent.protocol import ErrorClass, OperationError

MAX_BACKOFF_S = 600.0
MAX_INTERRUPTIONS = 100
"""Rejections and planned interruptions without progress, after which an operation fails: nobody will ever run it."""
MAX_QUICK = 10
"""Rejections without progress that are followed by another worker at once."""


@atomic_with_retries
def reject(operation_id: str, number: int, actor: Actor, reason: str) -> bool:
    """Requeue an operation that the worker certainly does not have; the attempt does not count. False if superseded."""
    operation = lock(operation_id)
    attempt = attempts.current(operation, number)
    if attempt is None or operation.status not in (Status.DISPATCHING, Status.CANCELLING):
        return False
    attempts.end(attempt, AttemptOutcome.REJECTED, reason)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {reason}")
        return True
    vain = count_vain(operation)
    if vain >= MAX_INTERRUPTIONS:
        _fail_lost(operation, actor, f"No worker took the operation {vain} times", reason)
        return False
    not_before = None
    if vain > MAX_QUICK:
        pause = full_jitter_s(vain - MAX_QUICK, settings.RETRY_BACKOFF_S, MAX_BACKOFF_S)
        not_before = Now() + timedelta(seconds=pause)
    move(operation, Status.PENDING, actor, reason, not_before=not_before)
    return True


def interrupt(
    operation: Operation,
    attempt: Attempt,
    outcome: AttemptOutcome,
    actor: Actor,
    reason: str,
    report_sha256: str | None = None,
    *,
    has_run: bool = False,
) -> None:
    """End an attempt that the infrastructure ended (`lost` or `interrupted`); requeue while attempts are left.

    Only a loss uses up an attempt: the operation may be what kills the worker. A planned interruption does not, within
    a bound. `operation` is locked. A cancellation wins over the requeue.
    """
    attempts.end(attempt, outcome, reason, report_sha256, has_run=has_run)
    if outcome is AttemptOutcome.LOST:
        outbox.queue_worker_lost(attempt.worker_id, attempt.instance_id, reason, operation)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {reason}")
        return
    if attempt.stop_reason:
        fail(operation, time_limits.error(attempt.stop_reason), actor, f"{attempt.stop_reason} {reason}")
        return
    lost, vain = count_lost(operation), count_vain(operation)
    if lost >= operation.max_attempts:
        _fail_lost(operation, actor, f"The worker was lost {lost} times", reason)
    elif vain >= MAX_INTERRUPTIONS:
        _fail_lost(operation, actor, f"The operation was interrupted {vain} times without progress", reason)
    else:
        tries = lost if outcome is AttemptOutcome.LOST else vain
        _requeue(operation, actor, reason, tries, lost)


def _requeue(operation: Operation, actor: Actor, reason: str, tries: int, lost: int) -> None:
    pause = full_jitter_s(tries, settings.RETRY_BACKOFF_S, MAX_BACKOFF_S)
    if lost:
        reason = f"{reason}; lost {lost} of {operation.max_attempts} times"
    reason = f"{reason}; retrying in about {pause:.0f} s"
    move(
        operation,
        Status.PENDING,
        actor,
        reason,
        resume=True,
        not_before=Now() + timedelta(seconds=pause),
        waiting_reason=reason[:MAX_WAITING_REASON],
    )


def _fail_lost(operation: Operation, actor: Actor, problem: str, reason: str) -> None:
    error = OperationError(error_class=ErrorClass.LOST, message=f"{problem}; last reason: {reason}.")
    fail(operation, error, actor, reason)


def count_lost(operation: Operation) -> int:
    """Count the attempts since the last retry by a person whose worker was lost: those that are used up."""
    return operation.attempts.filter(number__gt=operation.attempts_from, outcome=AttemptOutcome.LOST).count()


def count_vain(operation: Operation) -> int:
    """Count the rejections and planned interruptions since the last retry by a person and the last progress.

    Progress is a checkpoint. An attempt that saved one was not in vain.
    """
    saved = operation.checkpoints.aggregate(newest=Max("attempt"))["newest"] or 0
    return operation.attempts.filter(
        number__gt=max(operation.attempts_from, saved),
        outcome__in=(AttemptOutcome.REJECTED, AttemptOutcome.INTERRUPTED),
    ).count()


def mark_lost(operation_id: str, number: int, actor: Actor, reason: str) -> bool:
    """End an attempt whose worker is gone or no longer knows it. Return False if the attempt has ended meanwhile."""
    return _interrupt_current(operation_id, number, AttemptOutcome.LOST, actor, reason)


def mark_interrupted(operation_id: str, number: int, actor: Actor, reason: str) -> bool:
    """End an attempt whose worker left as planned. Return False if the attempt has ended meanwhile."""
    return _interrupt_current(operation_id, number, AttemptOutcome.INTERRUPTED, actor, reason)


@atomic_with_retries
def _interrupt_current(
    operation_id: str, number: int, outcome: AttemptOutcome, actor: Actor, reason: str
) -> bool:
    operation = lock(operation_id)
    attempt = attempts.current(operation, number)
    if attempt is None:
        return False
    interrupt(operation, attempt, outcome, actor, reason)
    return True
