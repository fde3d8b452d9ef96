"""What people ask of an operation: cancel it, run it again. Each may come at any moment, and the rules decide."""

from django.db import transaction

from operations import lifecycle
from operations.actors import Actor
from operations.models import Operation
from operations.states import Status
from worker_agent import trace


@transaction.atomic
def cancel(operation_id: str, actor: Actor, reason: str = "") -> Operation:
    """PENDING ends at once; what a worker has, or may have, is CANCELLING until it says so. Raises WrongState."""
    operation = lifecycle.lock(operation_id)
    why = reason or "cancelled"
    match Status(operation.status):
        case Status.PENDING:
            lifecycle.move(operation, Status.CANCELLED, actor, why)
        case Status.DISPATCHING:
            # Its start may be on the way: who pushes it tells the worker afterwards, or the next dispatcher.
            lifecycle.move(operation, Status.CANCELLING, actor, why)
        case Status.RUNNING:
            lifecycle.contact(operation.attempts.filter(number=operation.attempt))
            lifecycle.move(operation, Status.CANCELLING, actor, why)
        case Status.CANCELLING:
            lifecycle.record(operation, "cancel_repeated", actor, why)
        case status:
            raise lifecycle.WrongState(f"The operation has ended already: it is {status}.")
    return operation


def retry(operation_id: str, actor: Actor) -> Operation:
    """A new attempt from the start. Raises WrongState."""
    return _again(operation_id, actor, resume=False)


def resume(operation_id: str, actor: Actor) -> Operation:
    """A new attempt from the newest checkpoint. Raises WrongState."""
    return _again(operation_id, actor, resume=True)


@transaction.atomic
def _again(operation_id: str, actor: Actor, *, resume: bool) -> Operation:
    # What it waits for is locked before it, as it is where that ends and takes this one with it.
    waits_for = Operation.objects.select_for_update(of=("self",)).filter(followers=operation_id)
    gone = [one for one in waits_for.order_by("pk") if one.status in (Status.FAILED, Status.CANCELLED)]
    operation = lifecycle.lock(operation_id)
    if operation.status not in (Status.FAILED, Status.CANCELLED):
        verb = "resumed" if resume else "retried"
        raise lifecycle.WrongState(
            f"Only a FAILED or CANCELLED operation can be {verb}; this one is {operation.status}."
        )
    if resume and not operation.checkpoints.exists():
        raise lifecycle.WrongState("There is no checkpoint to resume from; retry starts it anew.")
    if gone:
        raise lifecycle.WrongState(
            f"It waits for {gone[0].pk}, which is {gone[0].status}; retry that one first."
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
        completed_at=None,
        not_before=None,
        result=None,
        error_class="",
        error_message="",
        error_traceback="",
        progress={},
        progress_updated_at=None,
    )
    return operation
