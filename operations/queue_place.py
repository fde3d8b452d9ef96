"""Where in the queue an operation is, and when it will probably start."""

from dataclasses import dataclass

from django.db import connection

from operations.models import Demand, Operation

FARTHEST = 500
"""Of the own operations ahead; counting more would take longer than the answer is worth."""
HISTORY = 50
"""Completed operations with the same demand, from which the duration is estimated."""

_READY = "status = 'PENDING' AND blockers = 0 AND not_before IS NULL"
_AHEAD = f"""
    SELECT count(*) FROM (
        SELECT FROM operations_operation WHERE {_READY} AND demand = %(demand)s
            AND COALESCE(created_by_id, 0) = %(owner)s AND (rank, operation_id) < (%(rank)s, %(operation_id)s)
        LIMIT %(most)s
    ) AS ahead
"""  # noqa: S608  (constants)
_OTHERS = f"""
    WITH RECURSIVE other AS (
        (SELECT COALESCE(created_by_id, 0) AS owner FROM operations_operation
         WHERE {_READY} AND demand = %(demand)s ORDER BY 1 LIMIT 1)
    UNION ALL
        SELECT (SELECT COALESCE(created_by_id, 0) FROM operations_operation
                WHERE {_READY} AND demand = %(demand)s AND COALESCE(created_by_id, 0) > other.owner
                ORDER BY 1 LIMIT 1)
        FROM other WHERE other.owner IS NOT NULL
    )
    SELECT COALESCE(sum(number), 0) FROM other CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT FROM operations_operation WHERE {_READY} AND demand = %(demand)s
                AND COALESCE(created_by_id, 0) = other.owner LIMIT %(most)s
        ) AS waiting
    ) AS turns
    WHERE other.owner <> %(owner)s
"""  # noqa: S608  (constants)
_DURATION = """
    SELECT avg(seconds) FROM (
        SELECT EXTRACT(epoch FROM completed_at - started_at)::float8 AS seconds FROM operations_operation
        WHERE status = 'COMPLETED' AND demand = %s ORDER BY completed_at DESC LIMIT %s
    ) AS history
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a ready operation among those that need the same workers."""

    position: int | None
    """1 is next; None if more than FARTHEST operations of the same user are ahead."""
    wait_s: float | None
    """Estimate until its start; None without workers or history."""


def place_of(operation: Operation) -> Place:
    """Return the place of a ready operation, as if every user had as many operations running.

    Users take turns: of each other user, as many operations are ahead as own ones, and one more.
    """
    values = {
        "demand": operation.demand,
        "owner": operation.created_by_id or 0,
        "rank": operation.rank,
        "operation_id": operation.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD, {**values, "most": FARTHEST + 1})
        (own,) = cursor.fetchone() or (0,)
        if own > FARTHEST:
            return Place(None, None)
        cursor.execute(_OTHERS, {**values, "most": own + 1})
        (others,) = cursor.fetchone() or (0,)
    position = int(own + others) + 1
    return Place(position, _estimate_s(operation.demand, position))


def _estimate_s(demand: str, position: int) -> float | None:
    """Return the mean duration of the newest operations with the demand, by the number of workers that share the queue."""
    workers = Demand.objects.filter(pk=demand).values_list("workers", flat=True).first()
    if not workers:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_DURATION, [demand, HISTORY])
        (duration_s,) = cursor.fetchone() or (None,)
    return None if duration_s is None else float(duration_s) * position / workers
