"""Explains to people why operations wait."""

from collections.abc import Iterable

from operations import quotas
from operations.dispatching.lanes import NOBODY
from operations.lifecycle import MAX_WAITING_REASON
from operations.models import Demand, Operation
from operations.presentation.numbers import duration
from operations.queue_place import FARTHEST, place_of
from operations.states import Status


def explain_waits(operations: Iterable[Operation]) -> None:
    """Complete `waiting_reason` of those that are PENDING; the rows are not changed. Two queries at most."""
    waiting = [operation for operation in operations if operation.status == Status.PENDING]
    awaited = _unfinished([operation for operation in waiting if operation.blockers])
    reasons = _reasons_of_demands(waiting)
    for operation in waiting:
        if operation.blockers:
            operation.waiting_reason = f"waits for {', '.join(awaited.get(operation.pk, []))}"[
                :MAX_WAITING_REASON
            ]
        elif operation.not_before is not None:
            paused = operation.waiting_reason or "paused"
            operation.waiting_reason = f"{paused}; next try at {operation.not_before:%H:%M:%S} UTC"
        else:
            operation.waiting_reason = reasons.get(operation.demand, "")


def explain_wait(operation: Operation) -> None:
    """Complete the `waiting_reason` of one operation, with its place in the queue and an estimate of its start."""
    explain_waits([operation])
    if operation.status != Status.PENDING or operation.blockers or operation.not_before is not None:
        return
    if limit := _limit_reached(operation):
        operation.waiting_reason = limit
        return
    place = place_of(operation)
    parts = [operation.waiting_reason] if operation.waiting_reason else []
    if place.position is None:
        parts.append(f"more than {FARTHEST} operations of the same user are ahead")
    else:
        parts.append(f"position {place.position:,}")
    if place.wait_s is not None:
        parts.append(f"expected to start in about {duration(max(1.0, place.wait_s))}")
    operation.waiting_reason = ", ".join(parts)


def _limit_reached(operation: Operation) -> str:
    """Return why the user may not have it running now; empty if there is another reason."""
    owner = operation.created_by_id or NOBODY
    most = quotas.allowances([owner])[owner].max_running
    if quotas.count_running(owner) < most:
        return ""
    return f"its user has reached the limit of {most:,.0f} running operations"


def _unfinished(operations: list[Operation]) -> dict[str, list[str]]:
    """Return the ids of the operations that each of `operations` waits for."""
    if not operations:
        return {}
    links = Operation.after.through.objects.filter(from_operation__in=operations)
    rows = links.exclude(to_operation__status=Status.COMPLETED).order_by("to_operation_id")
    awaited: dict[str, list[str]] = {}
    for follower, other in rows.values_list("from_operation_id", "to_operation_id"):
        awaited.setdefault(follower, []).append(other)
    return awaited


def _reasons_of_demands(operations: list[Operation]) -> dict[str, str]:
    digests = {operation.demand for operation in operations if not operation.blockers}
    if not digests:
        return {}
    return dict(Demand.objects.filter(pk__in=digests).values_list("pk", "waiting_reason"))
