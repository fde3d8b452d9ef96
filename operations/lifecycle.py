"""The only writer of an operation's status; `attempts` writes its attempts by the same rules.

Every change locks the operation's row, then changes it with one UPDATE that names the expected status, checks the
row count, and appends the event in the same transaction. Locks are taken in one order: operations by their keys, then
the worker. Only the claim takes both without waiting (SKIP LOCKED), so it can never close a cycle. A transaction that
ends in a deadlock nevertheless is repeated (`atomic_with_retries`).
"""

from typing import Any

from django.db.models.functions import Now

from access.conflicts import atomic_with_retries
from access.prepared import columns_of, fetch_one, instance
from operations.actors import SYSTEM, Actor
from operations.endings import Ending
from operations.followers import end_followers
from operations.models import Event, Operation
from operations.models.operation import LARGE
from operations.recording import announce, record_all
from operations.states import FINAL, TRANSITIONS, Status
from operations.status_changes import change_status
from worker_agent.protocol import ErrorClass, OperationError

MAX_REASON = 1000
MAX_WAITING_REASON = 500


class WrongState(Exception):
    """The operation's status does not allow the requested change."""


_LOCK = f"""
    SELECT {columns_of(Operation, "o", without=LARGE)} FROM operations_operation AS o
    WHERE operation_id = %(operation_id)s AND deleted_at IS NULL FOR UPDATE
"""  # noqa: S608  (constants)


def lock(operation_id: str) -> Operation:
    """Return the operation with its row locked until the transaction ends. Raises Operation.DoesNotExist.

    A deleted operation does not exist here.
    """
    row = fetch_one(_LOCK, {"operation_id": operation_id})
    if row is None:
        raise Operation.DoesNotExist
    return instance(Operation, row, without=LARGE)


def record(operation: Operation, kind: str, actor: Actor, reason: str = "", **fields: Any) -> Event:
    """Append an event, log it, and queue its notifications."""
    event = _event(operation, kind, actor, reason, **fields)
    record_all([(operation, event)])
    return event


def _event(operation: Operation, kind: str, actor: Actor, reason: str, **fields: Any) -> Event:
    return Event(
        operation=operation,
        kind=kind,
        actor=actor.label,
        user_id=actor.user_id,
        address=actor.address,
        reason=reason[:MAX_REASON],
        **fields,
    )


def move(
    operation: Operation,
    target: Status,
    actor: Actor,
    reason: str,
    *,
    ending: Ending | None = None,
    **changes: Any,
) -> None:
    """Change the status of the locked operation, and end its attempt with the same statement. Raises WrongState.

    `operation` is updated like its row; values computed by the database are loaded when they are first read.
    """
    source = Status(operation.status)
    if target not in TRANSITIONS[source]:
        raise WrongState(f"The operation is {source}; it cannot become {target}.")
    if target in FINAL:
        changes = {"completed_at": Now(), "waiting_reason": "", "not_before": None, **changes}
    event = _event(operation, "status", actor, reason, from_status=source, to_status=target)
    event.attempt = changes.get("attempt", operation.attempt) or None
    # It must be claimed or cancelled, or it has freed its worker.
    wakes_dispatchers = target not in (Status.DISPATCHING, Status.RUNNING)
    change = change_status(operation.pk, changes, event, wakes_dispatchers=wakes_dispatchers, ending=ending)
    if change is None:
        if ending is not None:
            raise WrongState(f"The operation is not {source} any more, or its attempt has ended.")
        raise WrongState(f"The operation is not {source} any more.")
    event.pk = change.event_id
    for name, value in {"status": target.value, **changes}.items():
        operation.__dict__.pop(name, None)  # Django loads a missing attribute from the row
        if not hasattr(value, "resolve_expression"):
            setattr(operation, name, value)
    announce([(operation, event)], has_subscribers=change.has_subscribers)
    if target in FINAL and target is not Status.COMPLETED:
        end_followers(operation)


def fail(operation: Operation, error: OperationError, actor: Actor, reason: str = "", **changes: Any) -> None:
    """Move the locked operation to FAILED with this error."""
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


@atomic_with_retries
def fail_without_worker(operation_id: str, reason: str) -> bool:
    """Fail an operation that was submitted with `queue: false` and that no worker takes now."""
    operation = lock(operation_id)
    if operation.status != Status.PENDING or operation.queue:
        return False
    message = f"No worker was available, and `queue` is false: {reason}."
    fail(operation, OperationError(error_class=ErrorClass.LOST, message=message), SYSTEM, message)
    return True
