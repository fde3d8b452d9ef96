"""Lets waiting operations into the index from which they are claimed: the ready ones.

A submission stores its operation ready, or with the number of operations that it waits for. This brings in the others:
those whose pause has ended, and rows that are not counted because older code or another program wrote them.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from access.isolation import isolated
from access.prepared import fetch
from operations import blockers
from operations.models import Operation
from operations.setbacks import set_aside
from operations.states import Status

BATCH = 5_000
"""Rows per round: an upgrade or another program may leave many at once."""

IS_ANYTHING_DUE = """
    EXISTS (SELECT FROM operations_operation WHERE status = 'PENDING' AND blockers IS NULL)
        OR EXISTS (SELECT FROM operations_operation WHERE status = 'PENDING' AND not_before <= statement_timestamp())
"""
"""An expression for statements."""
_STORE_DEMANDS = """
    INSERT INTO operations_demand (digest, operation_type, requirements, prefer_gpu, waiting_reason)
    SELECT DISTINCT ON (demand) demand, operation_type, requirements, prefer_gpu, ''
    FROM operations_operation WHERE operation_id = ANY(%s)
    ORDER BY demand
    ON CONFLICT DO NOTHING
"""
_REMOVE_DEMANDS = """
    DELETE FROM operations_demand WHERE digest NOT IN (
        SELECT demand FROM operations_operation WHERE status = 'PENDING'
        UNION SELECT demand FROM operations_operation WHERE status IN ('CANCELLING', 'DISPATCHING', 'RUNNING')
    )
"""


def store_demands(operation_ids: Sequence[str]) -> None:
    """Store the demands of new operations, without which the dispatcher does not look for them."""
    with connection.cursor() as cursor:
        cursor.execute(_STORE_DEMANDS, [list(operation_ids)])


def remove_idle_demands() -> int:
    """Remove the demands without an operation that waits or may wait again: each round looks at all demands.

    Return how many these were. If an operation with one of them is submitted at the same moment, `reasons` stores it again.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE_DEMANDS)
        return int(cursor.rowcount)


def admit_due() -> int:
    """Count the blockers of uncounted operations, and end the pauses that are over; return how many operations that concerned.

    If that raises for one of them, it is set aside, and the others are admitted one by one.
    """
    ((is_due,),) = fetch(f"SELECT {IS_ANYTHING_DUE}", {})
    if not is_due:
        return 0
    admitted = 0
    with isolated("admitting operations to the queue") as all_at_once:
        admitted = _admit(_due())
    if all_at_once.error is not None:
        _admit_one_by_one()
    return admitted


def _admit_one_by_one() -> None:
    for operation_id in _due():
        with isolated("admitting an operation to the queue", operation_id=operation_id) as unit:
            _admit([operation_id])
        if unit.error is not None:
            set_aside(operation_id, unit.error)


def _due() -> list[str]:
    due = Q(not_before__lte=Now()) | Q(blockers__isnull=True)
    rows = Operation.objects.filter(due, status=Status.PENDING).order_by()
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _admit(operation_ids: Sequence[str]) -> int:
    """Admit those of the operations that no other transaction holds. Call it in a transaction."""
    rows = Operation.objects.select_for_update(of=("self",), skip_locked=True)
    locked = rows.filter(pk__in=operation_ids, status=Status.PENDING).order_by()
    numbers = dict(locked.values_list("pk", "blockers"))
    uncounted = [operation_id for operation_id, number in numbers.items() if number is None]
    if uncounted:
        store_demands(uncounted)
        blockers.count(uncounted)
    paused = Operation.objects.filter(pk__in=numbers, not_before__lte=Now())
    paused.update(not_before=None, waiting_reason="")
    return len(numbers)
