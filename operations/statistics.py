"""Queue and attempt metrics, computed from database rows.

Counters in a process would cover only that process. Histograms include every attempt ever made, but read each row only
once: this process keeps the sums of settled rows and reads only newer ones again.
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
"""None of our transactions is open this long, so all rows with an older timestamp are committed."""


@dataclass(frozen=True, slots=True)
class QueueLength:
    operation_type: str
    ready: bool
    """They wait only for a worker; the others wait for other operations or for their backoff."""
    operations: int
    longest_s: float


def queue_lengths() -> list[QueueLength]:
    """Return how many operations are waiting, and how long the first of them has been."""
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
        QueueLength(
            row["operation_type"], row["is_ready"], row["number"], max(0.0, row["longest"].total_seconds())
        )
        for row in rows
    ]


def refused_reports() -> dict[str, int]:
    """Return reason -> count; the reason is the first word of the event's (`reports.RefusalReason`)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT split_part(reason, ':', 1), count(*) FROM operations_event"
            " WHERE kind = 'refused_report' GROUP BY 1"
        )
        return {str(reason): int(number) for reason, number in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Distribution:
    """`buckets[i]` counts the values below `bounds[i]`, the last bucket those above all bounds."""

    buckets: list[int]
    total_s: float

    def cumulative(self) -> list[int]:
        return [sum(self.buckets[: position + 1]) for position in range(len(self.buckets))]


_READ = """
    WITH edge AS (
        -- Never move back if the clock does, so that no row is summed twice.
        SELECT GREATEST(statement_timestamp() - make_interval(secs => %s), %s) AS moment
    )
    SELECT edge.moment, event.moment < edge.moment, labels, width_bucket(seconds, %s), count(*), sum(seconds)
    FROM edge LEFT JOIN (/* rows */) AS event(moment, seconds, labels) ON true
    GROUP BY 1, 2, 3, 4
"""
Sums = dict[tuple[str, ...], Distribution]


@dataclass(slots=True)
class Histogram:
    """Histogram of the seconds that `rows` returns with a timestamp and labels, over all rows ever stored."""

    rows: str
    """SELECT moment, seconds, ARRAY[labels] of all rows with a moment at or after %s."""
    bounds: tuple[float, ...]
    _settled: tuple[str | datetime, Sums] = field(default=("-infinity", {}))
    """The moment up to which everything is summed, and the sums. Replaced as a whole, so threads need no lock."""

    def read(self) -> Sums:
        since, settled = self._settled
        with connection.cursor() as cursor:
            cursor.execute(
                _READ.replace("/* rows */", self.rows),
                [SETTLED_AFTER_S, since, [float(bound) for bound in self.bounds], since],
            )
            rows = cursor.fetchall()
        edge = rows[0][0]
        settled = self._add(settled, [row for row in rows if row[1]])
        self._settled = (edge, settled)
        return self._add(settled, [row for row in rows if row[1] is False])

    def _add(self, sums: Sums, rows: list[tuple[Any, ...]]) -> Sums:
        result = dict(sums)
        for _, _, labels, bucket, number, seconds in rows:
            before = result.get(tuple(labels))
            buckets = list(before.buckets) if before else [0] * (len(self.bounds) + 1)
            buckets[bucket] += number
            result[tuple(labels)] = Distribution(buckets, (before.total_s if before else 0.0) + seconds)
        return result


def attempt_durations() -> Histogram:
    """Return the time from a worker's acceptance (or else its claim) to the end, by operation type and outcome."""
    rows = """
        SELECT a.ended_at, EXTRACT(epoch FROM a.ended_at - COALESCE(a.started_at, a.claimed_at))::float8,
               ARRAY[o.operation_type, a.outcome]
        FROM operations_attempt AS a JOIN operations_operation AS o USING (operation_id)
        WHERE a.ended_at >= %s
    """
    return Histogram(rows, (0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600))


def dispatch_durations() -> Histogram:
    """Return the time from the claim of a worker to its acceptance, by operation type."""
    rows = """
        SELECT a.started_at, EXTRACT(epoch FROM a.started_at - a.claimed_at)::float8, ARRAY[o.operation_type]
        FROM operations_attempt AS a JOIN operations_operation AS o USING (operation_id)
        WHERE a.started_at >= %s
    """
    return Histogram(rows, (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15))


def start_delays() -> Histogram:
    """Return the time from submission to the first start, by operation type, without operations that wait for others."""
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
