"""The only writer of attempts: an attempt is one try of an operation on one worker.

`operation.attempt` is the fence: a change to an attempt counts only while its number is the operation's newest one and
the attempt has not ended. The rules of `lifecycle` for locks and events apply here as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from access.conflicts import atomic_with_retries, statement_with_retries
from access.isolation import isolated
from operations import attempt_rows, sick_workers
from operations.actors import Actor
from operations.endings import Ending
from operations.followers import lock_with_followers
from operations.lifecycle import MAX_REASON, WrongState, fail, lock, move
from operations.models import Attempt, Event, Operation
from operations.models.attempt import AttemptOutcome
from operations.recording import announce
from operations.states import Status
from registry import dispatch_channel, protocol_versions
from registry.models import Worker
from worker_agent.protocol import ErrorClass, OperationError

ACCEPTED = "accepted by the worker"
ASK_AGAIN_S = 2.0
"""The worker is contacted again after an unknown outcome, or while a cancellation has not taken effect."""


def push_lease() -> timedelta:
    """Return how long a dispatcher that took an attempt may handle it before another one may take it."""
    return timedelta(seconds=3 * settings.HEALTH_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Start:
    """An operation and the worker that gets it."""

    operation: Operation
    worker: Worker
    resumed_from: int | None = None


def begin(starts: Sequence[Start], actor: Actor, *, push: bool) -> list[Attempt]:
    """Claim a worker for each PENDING operation. All these rows are locked by the caller. Raises WrongState.

    With `push` the caller sends the starts itself, now; otherwise the next dispatcher does.
    """
    begun = {start.operation.pk: (_attempt_of(start, push=push), _reason_of(start)) for start in starts}
    contact_after_s = push_lease().total_seconds() if push else 0.0
    if attempt_rows.begin(begun, actor, is_pushed=push, contact_after_s=contact_after_s) < len(starts):
        raise WrongState("An operation is not PENDING any more.")
    changes = [(start.operation, _note_claim(start, actor)) for start in starts]
    announce(changes, has_subscribers=False)  # nobody is notified of a claim
    if not push:
        dispatch_channel.notify_dispatchers()
    return [attempt for attempt, _ in begun.values()]


def _attempt_of(start: Start, *, push: bool) -> Attempt:
    worker = start.worker
    return Attempt(
        operation=start.operation,
        number=start.operation.attempt + 1,
        worker_id=worker.worker_id,
        instance_id=worker.instance_id,
        endpoint_url=worker.endpoint_url,
        resumed_from_step=start.resumed_from,
        must_prove=push and worker.protocol_version >= protocol_versions.PROVING,
    )


def _reason_of(start: Start) -> str:
    return f"claimed worker {start.worker.worker_id}"[:MAX_REASON]


def _note_claim(start: Start, actor: Actor) -> Event:
    """Update the operation like its row; return the event that is stored with it."""
    operation = start.operation
    event = Event(
        operation=operation,
        kind="status",
        from_status=operation.status,
        to_status=Status.DISPATCHING,
        attempt=operation.attempt + 1,
        actor=actor.label,
        reason=_reason_of(start),
    )
    operation.status, operation.attempt = Status.DISPATCHING, operation.attempt + 1
    operation.worker_id, operation.waiting_reason, operation.not_before = start.worker.worker_id, "", None
    operation.progress, operation.progress_updated_at, operation.progress_asked_at = {}, None, None
    return event


def current(operation: Operation, number: int) -> Attempt | None:
    """Return the attempt if it is the operation's fence and has not ended."""
    if number != operation.attempt:
        return None
    return operation.attempts.filter(number=number, ended_at__isnull=True).first()


def end(
    attempt: Attempt,
    outcome: AttemptOutcome,
    error: str = "",
    report_sha256: str | None = None,
    *,
    has_run: bool = False,
) -> None:
    """End the attempt and free its worker. Raises WrongState if it has ended."""
    if not attempt_rows.end(ending(attempt, outcome, error, report_sha256, has_run=has_run)):
        raise WrongState(f"Attempt {attempt.number} has already ended.")


def ending(
    attempt: Attempt,
    outcome: AttemptOutcome,
    error: str = "",
    report_sha256: str | None = None,
    *,
    has_run: bool = False,
) -> Ending:
    """Return how the attempt ends in this transaction, for `lifecycle.move`, which stores it with the new status.

    With `has_run` it has certainly started, which is recorded if it was not before. The worker of a failed or lost attempt
    is examined when this transaction is committed.
    """
    if outcome in (AttemptOutcome.FAILED, AttemptOutcome.LOST):
        # Afterwards, because the class of the error is stored later in this transaction.
        transaction.on_commit(partial(_examine, attempt.worker_id))
    starts = has_run and attempt.started_at is None
    return Ending(attempt.pk, outcome, error[:MAX_REASON], report_sha256, starts)


def _examine(worker_id: str) -> None:
    with isolated("examining a worker after a failure", worker_id=worker_id):
        sick_workers.examine(worker_id)


def accept(operation_id: str, number: int, actor: Actor, reason: str = ACCEPTED) -> bool:
    """Record that the worker has it: DISPATCHING -> RUNNING. Return False if it is superseded or being cancelled."""
    return operation_id in accept_all({operation_id: number}, actor, reason)


@statement_with_retries
def accept_all(started: Mapping[str, int], actor: Actor, reason: str = ACCEPTED) -> set[str]:
    """Record that workers have these attempts, numbers by operation id; return the operations that are RUNNING."""
    accepted = attempt_rows.accept(started, actor, reason).values()
    announce(
        [(acceptance.operation, acceptance.event) for acceptance in accepted if acceptance.event],
        has_subscribers=False,
    )
    if any(acceptance.event is None for acceptance in accepted):
        dispatch_channel.notify_dispatchers()
    return {
        acceptance.operation.pk for acceptance in accepted if acceptance.operation.status == Status.RUNNING
    }


def schedule_contact(attempts: QuerySet[Attempt], after_s: float = 0.0) -> int:
    """Make a dispatcher contact the workers of these attempts; return how many of them are active."""
    moment = Now() + timedelta(seconds=after_s)
    due = attempts.filter(ended_at__isnull=True).update(contact_after=moment)
    if due and not after_s:
        dispatch_channel.notify_dispatchers()
    return due


def adopt(attempt: Attempt, instance_id: str, endpoint_url: str) -> None:
    """Assign the attempt to the worker's current incarnation, which is contacted from now on."""
    if (attempt.instance_id, attempt.endpoint_url) != (instance_id, endpoint_url):
        Attempt.objects.filter(pk=attempt.pk, ended_at__isnull=True).update(
            instance_id=instance_id, endpoint_url=endpoint_url
        )


@atomic_with_retries
def fail_invalid(operation_id: str, number: int, actor: Actor, message: str) -> bool:
    """Fail an operation whose parameters the worker rejected; no other worker is tried. Return False if superseded."""
    lock_with_followers([operation_id])
    operation = lock(operation_id)
    attempt = current(operation, number)
    if attempt is None:
        return False
    end(attempt, AttemptOutcome.FAILED, message)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {message}")
    else:
        fail(operation, OperationError(error_class=ErrorClass.INVALID, message=message), actor)
    return True
