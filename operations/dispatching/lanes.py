"""Lanes of the queue: the ready operations of one user with one demand, in the order of `rank`.

Only the head of each lane is read, by stepping through the index `operation_ready` from lane to lane. The cost depends
on the number of lanes, however many operations wait in them.
"""

from collections.abc import Collection
from dataclasses import dataclass

from access.prepared import fetch

NOBODY = 0
"""The owner of operations without a user."""

OWNER = "COALESCE(created_by_id, 0)"
READY_CONDITION = "status = 'PENDING' AND blockers = 0 AND not_before IS NULL"
"""The condition of the index, word for word."""
_HEADS = f"""
    WITH RECURSIVE lane AS (
        SELECT digest, head.* FROM operations_demand
        CROSS JOIN LATERAL (
            SELECT {OWNER} AS owner, rank, priority FROM operations_operation
            WHERE {READY_CONDITION} AND demand = digest
            ORDER BY {OWNER}, rank, operation_id LIMIT 1
        ) AS head
        WHERE operation_type = ANY((SELECT %(types)s::text[])::text[])
          AND NOT digest = ANY((SELECT %(without)s::text[])::text[])
    UNION ALL
        SELECT digest, head.* FROM lane
        CROSS JOIN LATERAL (
            SELECT {OWNER} AS owner, rank, priority FROM operations_operation
            WHERE {READY_CONDITION} AND demand = lane.digest AND {OWNER} > lane.owner
            ORDER BY {OWNER}, rank, operation_id LIMIT 1
        ) AS head
    )
    SELECT digest, owner, rank, priority FROM lane
"""  # noqa: S608  (constants)
"""The arrays come from subqueries: otherwise PostgreSQL compares a plan for these with one for arrays of ten, keeps none,
and plans the statement again at each execution, which takes ten times as long as to execute it."""


@dataclass(slots=True)
class Lane:
    """The first ready operation of a user with a demand. It may have been claimed by another dispatcher since."""

    demand: str
    owner: int
    rank: float
    priority: int


def heads(operation_types: Collection[str], without: Collection[str]) -> list[Lane]:
    """Return the lanes of these operation types, but not those of the demands `without`."""
    rows = fetch(_HEADS, {"types": list(operation_types), "without": list(without)})
    return [Lane(*row) for row in rows]
