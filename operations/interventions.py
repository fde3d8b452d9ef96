"""Actions of people on operations: cancel, retry, resume. They may come at any time; the status decides what happens."""

from access.conflicts import atomic_with_retries
from operations import attempts, lifecycle, time_limits
from operations.actors import Actor
from operations.followers import lock_with_followers
from operations.models import Operation
from operations.states import Status
from worker_agent import trace


@atomic_with_retries
def cancel(operation_id: str, actor: Actor, reason: str = "") -> Operation:
    """Cancel the operation. PENDING ends immediately; anything else is CANCELLING until its worker reports. Raises WrongState."""
    lock_with_followers([operation_id])
    operation = lifecycle.lock(operation_id)
    reason = reason or "cancelled"
    match Status(operation.status):
        case Status.PENDING:
            lifecycle.move(operation, Status.CANCELLED, actor, reason)
        case Status.DISPATCHING:
            # Its start may be on the way: the dispatcher that sent it cancels at the worker afterwards, or the next one does.
            lifecycle.move(operation, Status.CANCELLING, actor, reason)
        case Status.RUNNING:
            attempts.schedule_contact(operation.attempts.filter(number=operation.attempt))
            lifecycle.move(operation, Status.CANCELLING, actor, reason)
        case Status.CANCELLING:
            lifecycle.record(operation, "cancel_repeated", actor, reason)
        case status:
            raise lifecycle.WrongState(f"The operation has already ended: it is {status}.")
    return operation


def retry(operation_id: str, actor: Actor) -> Operation:
    """Queue a new attempt from the start. Raises WrongState."""
    return _requeue(operation_id, actor, resume=False)


def resume(operation_id: str, actor: Actor) -> Operation:
    """Queue a new attempt from the newest checkpoint. Raises WrongState."""
    return _requeue(operation_id, actor, resume=True)


@atomic_with_retries
def _requeue(operation_id: str, actor: Actor, *, resume: bool) -> Operation:
    # What it waits for must not end meanwhile. All are locked in the order of their keys, as `followers` does.
    awaited = set(Operation.objects.filter(followers=operation_id).values_list("pk", flat=True))
    locked = Operation.objects.select_for_update(of=("self",)).filter(pk__in={*awaited, operation_id})
    failed = [
        other
        for other in locked.order_by("pk")
        if other.pk in awaited and other.status in (Status.FAILED, Status.CANCELLED)
    ]
    operation = lifecycle.lock(operation_id)
    if operation.status not in (Status.FAILED, Status.CANCELLED):
        verb = "resumed" if resume else "retried"
        raise lifecycle.WrongState(
            f"Only a FAILED or CANCELLED operation can be {verb}; this one is {operation.status}."
        )
    if resume and not operation.checkpoints.exists():
        raise lifecycle.WrongState("There is no checkpoint to resume from; retry it from the start instead.")
    if failed:
        raise lifecycle.WrongState(
            f"The operation waits for {failed[0].pk}, which is {failed[0].status}; retry that one first."
        )
    origin = trace.current()
    lifecycle.move(
        operation,
        Status.PENDING,
        actor,
        "resumed from the newest checkpoint" if resume else "retried from the start",
        request_id=origin.request_id,
        traceparent=origin.traceparent,
        resume=resume,
        queue=True,
        attempts_from=operation.attempt,
        setbacks=0,
        completed_at=None,
        archived_at=None,
        dismissed_at=None,
        not_before=None,
        expires_at=time_limits.moment_in(operation.expires_after_s),
        result=None,
        error_class="",
        error_message="",
        error_traceback="",
        progress={},
        progress_updated_at=None,
    )
    return operation
