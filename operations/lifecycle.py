"""The only writer of an operation's status and of its attempts.

Each change locks the operation's row, then changes it by one UPDATE that names the status it expects, checks
the row count, and appends the event in the same transaction. Locks are taken in one order: operation, then
worker; the claim alone takes both without waiting (SKIP LOCKED), so that it can never close a circle.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from operations import journal
from operations.actors import SYSTEM, Actor
from operations.backoff import full_jitter_s
from operations.models import Attempt, Event, Operation
from operations.models.attempt import AttemptOutcome
from operations.notifications import announce
from operations.states import FINAL, TRANSITIONS, Status
from registry import notify
from registry.models import Worker, WorkerStatus
from worker_agent.protocol import ErrorClass, OperationError

MAX_REASON = 1000
MAX_BACKOFF_S = 600.0
ASK_AGAIN_S = 2.0
"""After an outcome that is not known, or a cancel that is not true yet, the worker is spoken to again."""


def push_lease() -> timedelta:
    """How long the dispatcher that took an attempt has for it; then another one may ask the worker."""
    return timedelta(seconds=3 * settings.HEALTH_TIMEOUT_S)


class WrongState(Exception):
    """The operation is in a state in which this cannot be done."""


def lock(operation_id: str) -> Operation:
    """The operation's row, locked until the transaction ends. Raises Operation.DoesNotExist."""
    return Operation.objects.select_for_update(of=("self",)).get(pk=operation_id)


def record(operation: Operation, kind: str, actor: Actor, reason: str = "", **fields: Any) -> Event:
    event = Event.objects.create(
        operation=operation,
        kind=kind,
        actor=actor.label,
        user_id=actor.user_id,
        address=actor.address,
        reason=reason[:MAX_REASON],
        **fields,
    )
    journal.announce(operation, event)
    announce.status_changed(operation, event)
    return event


def record_created(operation: Operation, actor: Actor) -> None:
    record(operation, "status", actor, "submitted", to_status=operation.status)


def move(operation: Operation, target: Status, actor: Actor, reason: str, **changes: Any) -> None:
    """Changes the locked operation's status, or raises WrongState. `operation` is updated as the row is; what the database
    computes is read from there when somebody asks for it."""
    source = Status(operation.status)
    if target not in TRANSITIONS[source]:
        raise WrongState(f"The operation is {source}; it cannot become {target}.")
    if target in FINAL:
        changes = {"completed_at": Now(), "waiting_reason": "", "not_before": None, **changes}
    moved = Operation.objects.filter(pk=operation.pk, status=source).update(status=target, **changes)
    if moved != 1:
        raise WrongState(f"The operation is no longer {source}.")
    attempt = operation.attempt or None
    for name, value in {"status": target.value, **changes}.items():
        operation.__dict__.pop(name, None)  # Django reads a missing one from the row
        if not hasattr(value, "resolve_expression"):
            setattr(operation, name, value)
    record(operation, "status", actor, reason, from_status=source, to_status=target, attempt=attempt)
    if target in FINAL and target is not Status.COMPLETED:
        _end_followers(operation)
    if target not in (Status.DISPATCHING, Status.RUNNING):
        notify.dispatcher()  # it is to be claimed or cancelled, or has given its worker back


def fail(operation: Operation, error: OperationError, actor: Actor, reason: str = "", **changes: Any) -> None:
    move(
        operation,
        Status.FAILED,
        actor,
        reason or error.message,
        error_class=error.error_class,
        error_message=error.message,
        error_traceback=error.traceback or "",
        **changes,
    )


def _end_followers(operation: Operation) -> None:
    """What waits for an operation that failed or was cancelled ends like it, with the reason."""
    waiting = Operation.objects.select_for_update(of=("self",)).filter(
        after=operation.pk, status=Status.PENDING
    )
    for follower in waiting.order_by("pk"):
        follower.refresh_from_db(fields=["status"])
        if follower.status != Status.PENDING:
            continue  # it waits for an earlier follower too, and has ended with that one
        reason = f"waits for {operation.pk}, which is {operation.status}"
        if operation.status == Status.CANCELLED:
            move(follower, Status.CANCELLED, SYSTEM, reason)
        else:
            fail(
                follower,
                OperationError(error_class=ErrorClass.INVALID, message=f"It {reason}."),
                SYSTEM,
                reason,
            )


# Attempts ------------------------------------------------------------------------------------------------


def begin_attempt(
    operation: Operation, worker: Worker, actor: Actor, *, push: bool, resumed_from: int | None = None
) -> Attempt:
    """Claims `worker` for the locked, PENDING operation. Both rows are locked by the caller.

    With `push` the caller sends the start itself, now; else the next dispatcher does.
    """
    number = operation.attempt + 1
    attempt = Attempt.objects.create(
        operation=operation,
        number=number,
        worker_id=worker.worker_id,
        instance_id=worker.instance_id,
        endpoint_url=worker.endpoint_url,
        resumed_from_step=resumed_from,
        pushed_at=Now() if push else None,
        contact_after=Now() + push_lease() if push else Now(),
    )
    Worker.objects.filter(pk=worker.pk).update(status=WorkerStatus.BUSY, last_selected_at=Now())
    move(
        operation,
        Status.DISPATCHING,
        actor,
        f"claimed worker {worker.worker_id}",
        attempt=number,
        worker_id=worker.worker_id,
        waiting_reason="",
        not_before=None,
        progress={},
        progress_updated_at=None,
        progress_asked_at=None,
    )
    if not push:
        notify.dispatcher()
    return attempt


def current_attempt(operation: Operation, number: int) -> Attempt | None:
    """The attempt, where it is the operation's fence and has not ended."""
    if number != operation.attempt:
        return None
    return operation.attempts.filter(number=number, ended_at__isnull=True).first()


def end_attempt(attempt: Attempt, outcome: AttemptOutcome, error: str = "", **changes: Any) -> None:
    """Ends the attempt once, and gives its worker back."""
    ended = Attempt.objects.filter(pk=attempt.pk, ended_at__isnull=True).update(
        ended_at=Now(), outcome=outcome, error=error[:MAX_REASON], contact_after=None, **changes
    )
    if ended != 1:
        raise WrongState(f"Attempt {attempt.number} has ended already.")
    Worker.objects.filter(
        pk=attempt.worker_id, instance_id=attempt.instance_id, status=WorkerStatus.BUSY
    ).update(status=WorkerStatus.AVAILABLE)


@transaction.atomic
def accept(operation_id: str, number: int, actor: Actor, reason: str = "accepted by the worker") -> bool:
    """The worker has it: DISPATCHING -> RUNNING. False where the fence has moved on, or it is to be cancelled."""
    operation = lock(operation_id)
    attempt = current_attempt(operation, number)
    if attempt is None:
        return False
    tell_cancel = operation.status == Status.CANCELLING
    Attempt.objects.filter(pk=attempt.pk).update(
        started_at=attempt.started_at or Now(), contact_after=Now() if tell_cancel else None
    )
    if operation.status != Status.DISPATCHING:
        notify.dispatcher()
        return operation.status == Status.RUNNING
    move(operation, Status.RUNNING, actor, reason, started_at=operation.started_at or Now())
    return True


def contact(attempts: QuerySet[Attempt], after_s: float = 0.0) -> int:
    """A dispatcher is to speak to the workers of these attempts; returns how many are active."""
    moment = Now() + timedelta(seconds=after_s)
    due = attempts.filter(ended_at__isnull=True).update(contact_after=moment)
    if due and not after_s:
        notify.dispatcher()
    return due


def adopt(attempt: Attempt, instance_id: str, endpoint_url: str) -> None:
    """The present incarnation of the attempt's worker has taken it over: from now on that one is spoken to."""
    if (attempt.instance_id, attempt.endpoint_url) != (instance_id, endpoint_url):
        Attempt.objects.filter(pk=attempt.pk, ended_at__isnull=True).update(
            instance_id=instance_id, endpoint_url=endpoint_url
        )


@transaction.atomic
def refuse(operation_id: str, number: int, actor: Actor, message: str) -> bool:
    """The worker refuses the parameters: FAILED, and tried nowhere else. False where the fence moved on."""
    operation = lock(operation_id)
    attempt = current_attempt(operation, number)
    if attempt is None:
        return False
    end_attempt(attempt, AttemptOutcome.FAILED, message)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {message}")
    else:
        fail(operation, OperationError(error_class=ErrorClass.INVALID, message=message), actor)
    return True


@transaction.atomic
def refuse_to_wait(operation_id: str, reason: str) -> bool:
    """FAILED: it was submitted with `queue: false`, and no worker takes it now."""
    operation = lock(operation_id)
    if operation.status != Status.PENDING or operation.queue:
        return False
    message = f"No worker took it, and it was not to wait: {reason}."
    fail(operation, OperationError(error_class=ErrorClass.LOST, message=message), SYSTEM, message)
    return True


@transaction.atomic
def reject(operation_id: str, number: int, actor: Actor, reason: str, pause_s: float = 0.0) -> bool:
    """The worker certainly does not have it: back to the queue, no attempt counted. False where the fence moved on."""
    operation = lock(operation_id)
    attempt = current_attempt(operation, number)
    if attempt is None or operation.status not in (Status.DISPATCHING, Status.CANCELLING):
        return False
    end_attempt(attempt, AttemptOutcome.REJECTED, reason)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {reason}")
    else:
        move(operation, Status.PENDING, actor, reason, not_before=Now() + timedelta(seconds=pause_s))
    return True


def interrupt(
    operation: Operation, attempt: Attempt, outcome: AttemptOutcome, actor: Actor, reason: str, **changes: Any
) -> None:
    """Ends an attempt that the infrastructure ended (`lost` or `interrupted`): requeued while attempts are left.

    `operation` is locked. Cancel wins over the requeue.
    """
    end_attempt(attempt, outcome, reason, **changes)
    if outcome is AttemptOutcome.LOST:
        announce.worker_lost(attempt.worker_id, attempt.instance_id, reason, operation)
    if operation.status == Status.CANCELLING:
        move(operation, Status.CANCELLED, actor, f"cancelled; {reason}")
        return
    made = attempts_made(operation)
    if made < operation.max_attempts:
        pause = full_jitter_s(made, settings.RETRY_BACKOFF_S, MAX_BACKOFF_S)
        reason = f"{reason}; attempt {made} of {operation.max_attempts}, next in about {pause:.0f} s"
        move(
            operation, Status.PENDING, actor, reason, resume=True, not_before=Now() + timedelta(seconds=pause)
        )
        return
    message = f"The worker was lost {made} times; the last time: {reason}."
    fail(operation, OperationError(error_class=ErrorClass.LOST, message=message), actor, reason)


def attempts_made(operation: Operation) -> int:
    """Attempts since the last retry by a person; those that a worker never took do not count."""
    return (
        operation.attempts.filter(number__gt=operation.attempts_from)
        .exclude(outcome=AttemptOutcome.REJECTED)
        .count()
    )


@transaction.atomic
def lose(operation_id: str, number: int, actor: Actor, reason: str) -> bool:
    """The attempt's worker is gone, or no longer knows it. False where the attempt has ended meanwhile."""
    operation = lock(operation_id)
    attempt = current_attempt(operation, number)
    if attempt is None:
        return False
    interrupt(operation, attempt, AttemptOutcome.LOST, actor, reason)
    return True
