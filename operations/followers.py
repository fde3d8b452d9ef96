"""Ends the operations that wait for one that failed or was cancelled, however many there are and however they hang together.

Two transactions may end parts of the same graph at once, so every one locks its rows in one order, that of the keys.
A transaction that already holds a later row can still meet another one; its caller repeats it (`atomic_with_retries`).
"""

from collections.abc import Collection, Sequence

from django.db import connection
from django.db.models.functions import Now

from operations.actors import SYSTEM
from operations.models import Event, Operation
from operations.recording import record_all
from operations.states import Status
from worker_agent.protocol import ErrorClass

BATCH = 1000

_WAITING = """
    WITH RECURSIVE waiting(operation_id) AS (
        SELECT unnest(%s::text[])::varchar
        UNION
        SELECT follower.operation_id
          FROM waiting
          JOIN operations_operation_after AS link ON link.to_operation_id = waiting.operation_id
          JOIN operations_operation AS follower
            ON follower.operation_id = link.from_operation_id AND follower.status = 'PENDING'
    )
    SELECT operation_id FROM waiting
"""


def lock_with_followers(operation_ids: Collection[str]) -> None:
    """Lock the operations and all that would end with them, in the order of their keys.

    Call it before the first other lock of a transaction that is going to end the operations.
    """
    _lock(_find_waiting(operation_ids).union(operation_ids))


def end_followers(operation: Operation) -> None:
    """Give the PENDING operations that wait for `operation`, directly or not, its status: FAILED or CANCELLED."""
    ended: list[str] = [operation.pk]
    # An operation may have been submitted behind a follower while that one was waiting for its lock: look again.
    while waiting := _find_waiting(ended).difference(ended):
        rows = [row for row in _lock(waiting) if row.status == Status.PENDING]
        ended = [row.pk for row in rows]
        for start in range(0, len(rows), BATCH):
            _end(rows[start : start + BATCH], operation)


def _find_waiting(operation_ids: Collection[str]) -> set[str]:
    """Return the keys of `operation_ids` and of everything PENDING that waits for them, directly or not."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [list(operation_ids)])
        return {operation_id for (operation_id,) in cursor.fetchall()}


def _lock(operation_ids: Collection[str]) -> list[Operation]:
    """Lock the rows one after the other; return them without their large columns."""
    rows = Operation.objects.select_for_update(of=("self",)).filter(pk__in=operation_ids).order_by("pk")
    return list(rows.only("status", "operation_type", "worker_id", "attempt", "request_id", "traceparent"))


def _end(followers: Sequence[Operation], blocker: Operation) -> None:
    """End locked, PENDING operations; a follower's reason depends on whether it waits for `blocker` itself."""
    keys = [follower.pk for follower in followers]
    links = Operation.after.through.objects.filter(from_operation__in=keys, to_operation=blocker.pk)
    direct = set(links.values_list("from_operation_id", flat=True))
    status = Status(blocker.status)
    for group, verb in (
        (direct, "waits for"),
        (set(keys) - direct, "waits for operations that wait for"),
    ):
        reason = f"{verb} {blocker.pk}, which is {status}"
        is_failed = status is Status.FAILED
        changes = {
            "status": status.value,
            "error_class": ErrorClass.INVALID.value if is_failed else "",
            "error_message": f"It {reason}." if is_failed else "",
        }
        Operation.objects.filter(pk__in=group, status=Status.PENDING).update(
            completed_at=Now(), waiting_reason="", not_before=None, **changes
        )
        ended = [follower for follower in followers if follower.pk in group]
        for follower in ended:
            follower.__dict__.update(changes)
        record_all(
            [
                (
                    follower,
                    Event(
                        operation=follower,
                        kind="status",
                        actor=SYSTEM.label,
                        from_status=Status.PENDING,
                        to_status=status,
                        attempt=follower.attempt or None,
                        reason=reason,
                    ),
                )
                for follower in ended
            ]
        )
