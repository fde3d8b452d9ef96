"""What the queue and the attempts come to in numbers, from the rows alone.

A counter in a process would be one of several. Histograms count every attempt there ever was, and yet read each
row once: what has settled is kept as a sum in this process, and only what came since is read again.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Case, Count, Max, Min, OuterRef, Subquery, Value, When
from django.db.models.functions import Greatest, Now

from operations.dispatching import claims
from operations.models import Event, Operation
from operations.states import Status

SETTLED_AFTER_S = 120.0
"""No transaction of ours is open for so long: rows with an older moment are all committed."""


@dataclass(frozen=True, slots=True)
class Waiting:
    operation_type: str
    ready: bool
    """Nothing is missing but a worker; the others wait for operations before them, or for their backoff."""
    operations: int
    longest_s: float


def queue() -> list[Waiting]:
    """How many wait, and how long the first of them has been in that queue."""
    queued = Event.objects.filter(operation=OuterRef("pk"), to_status=Status.PENDING).order_by()
    awaited = Operation.objects.filter(followers=OuterRef("pk")).order_by()
    since = Greatest(
        "created_at",
        "not_before",
        Subquery(queued.values("operation").annotate(newest=Max("at")).values("newest")),
        Subquery(awaited.values("followers").annotate(newest=Max("completed_at")).values("newest")),
    )
    ready = Case(When(claims.ready(), then=Value(True)), default=Value(False), output_field=BooleanField())
    rows = (
        Operation.objects.filter(status=Status.PENDING)
        .order_by()
        .annotate(is_ready=ready, since=since)
        .values("operation_type", "is_ready")
        .annotate(number=Count("*"), longest=Now() - Min("since"))
    )
    return [
        Waiting(
            row["operation_type"], row["is_ready"], row["number"], max(0.0, row["longest"].total_seconds())
        )
        for row in rows
    ]


def refused_reports() -> dict[str, int]:
    """Reason -> how many; the reason is the first word of the event's (`reports.Refusal`)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT split_part(reason, ':', 1), count(*) FROM operations_event"
            " WHERE kind = 'refused_report' GROUP BY 1"
        )
        return {str(reason): int(number) for reason, number in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Distribution:
    """`buckets[i]` counts values below `bounds[i]`, the last one those above all of them."""

    buckets: list[int]
    total_s: float

    def cumulative(self) -> list[int]:
        return [sum(self.buckets[: position + 1]) for position in range(len(self.buckets))]


_READ = """
    WITH edge AS (
        -- Never back, should the clock go back: what is summed once is not summed again.
        SELECT GREATEST(statement_timestamp() - make_interval(secs => %s), %s) AS moment
    )
    SELECT edge.moment, found.moment < edge.moment, labels, width_bucket(seconds, %s), count(*), sum(seconds)
    FROM edge LEFT JOIN (/* rows */) AS found(moment, seconds, labels) ON true
    GROUP BY 1, 2, 3, 4
"""
Sums = dict[tuple[str, ...], Distribution]


@dataclass(slots=True)
class Histogram:
    """Of the seconds that `rows` gives beside a moment and labels, for every row there ever was."""

    rows: str
    """SELECT moment, seconds, ARRAY[labels] of all rows whose moment is not before %s."""
    bounds: tuple[float, ...]
    _settled: tuple[str | datetime, Sums] = field(default=("-infinity", {}))
    """Up to which moment everything is summed. Replaced as a whole, so that threads need no lock."""

    def read(self) -> Sums:
        since, settled = self._settled
        with connection.cursor() as cursor:
            cursor.execute(
                _READ.replace("/* rows */", self.rows),
                [SETTLED_AFTER_S, since, [float(bound) for bound in self.bounds], since],
            )
            found = cursor.fetchall()
        edge = found[0][0]
        kept = self._added(settled, [row for row in found if row[1]])
        self._settled = (edge, kept)
        return self._added(kept, [row for row in found if row[1] is False])

    def _added(self, sums: Sums, rows: list[tuple[Any, ...]]) -> Sums:
        result = dict(sums)
        for _, _, labels, bucket, number, seconds in rows:
            before = result.get(tuple(labels))
            buckets = list(before.buckets) if before else [0] * (len(self.bounds) + 1)
            buckets[bucket] += number
            result[tuple(labels)] = Distribution(buckets, (before.total_s if before else 0.0) + seconds)
        return result


def attempt_durations() -> Histogram:
    """By operation type and outcome: from the worker's acceptance (else its claim) to the end."""
    rows = """
        SELECT a.ended_at, EXTRACT(epoch FROM a.ended_at - COALESCE(a.started_at, a.claimed_at))::float8,
               ARRAY[o.operation_type, a.outcome]
        FROM operations_attempt AS a JOIN operations_operation AS o USING (operation_id)
        WHERE a.ended_at >= %s
    """
    return Histogram(rows, (0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600))


def dispatch_durations() -> Histogram:
    """By operation type: from the claim of a worker to its acceptance."""
    rows = """
        SELECT a.started_at, EXTRACT(epoch FROM a.started_at - a.claimed_at)::float8, ARRAY[o.operation_type]
        FROM operations_attempt AS a JOIN operations_operation AS o USING (operation_id)
        WHERE a.started_at >= %s
    """
    return Histogram(rows, (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15))


def start_delays() -> Histogram:
    """By operation type: from the submission to the first start, without those that were to wait for others."""
    rows = """
        SELECT a.started_at, EXTRACT(epoch FROM a.started_at - o.created_at)::float8, ARRAY[o.operation_type]
        FROM operations_attempt AS a JOIN operations_operation AS o USING (operation_id)
        WHERE a.started_at >= %s
          AND NOT EXISTS (
              SELECT FROM operations_attempt AS b
              WHERE b.operation_id = a.operation_id AND b.number < a.number AND b.started_at IS NOT NULL
          )
          AND NOT EXISTS (SELECT FROM operations_operation_after WHERE from_operation_id = a.operation_id)
    """
    return Histogram(rows, (0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 3600, 4 * 3600))
