"""Metric points and log lines: appended once, in order, up to a limit that is said where it cuts."""

from collections.abc import Sequence

from django.db.models.functions import Greatest

from operations.models import Attempt, LogLine, MetricPoint, Operation
from worker_agent import protocol

MAX_METRIC_POINTS = 200_000
MAX_LOG_LINES = 100_000
"""Kept per operation."""


def append(
    operation: Operation,
    attempt: Attempt,
    metrics: Sequence[protocol.MetricPoint],
    logs: Sequence[protocol.LogLine],
) -> None:
    """Stores what is new of a batch; one sent twice is harmless.

    The caller holds the operation's row lock: rows of one operation are committed in the order of their ids,
    so that a reader with a cursor never misses one that commits late.
    """
    points = [
        MetricPoint(
            operation=operation,
            attempt=attempt.number,
            seq=p.seq,
            name=p.name,
            step=p.step,
            value=p.value,
            time=p.time,
        )
        for p in metrics
        if p.seq > attempt.metrics_cursor
    ]
    lines = [
        LogLine(
            operation=operation,
            attempt=attempt.number,
            seq=line.seq,
            level=line.level,
            message=line.message.replace("\x00", ""),
            time=line.time,
        )
        for line in logs
        if line.seq > attempt.logs_cursor
    ]
    if not points and not lines:
        return
    cursors = {
        "metrics_cursor": max((p.seq for p in points), default=attempt.metrics_cursor),
        "logs_cursor": max((line.seq for line in lines), default=attempt.logs_cursor),
    }
    _store_points(operation, points)
    _store_lines(operation, attempt, lines)
    Attempt.objects.filter(pk=attempt.pk).update(
        **{name: Greatest(name, value) for name, value in cursors.items()}
    )
    attempt.metrics_cursor, attempt.logs_cursor = cursors["metrics_cursor"], cursors["logs_cursor"]


def _store_points(operation: Operation, points: list[MetricPoint]) -> None:
    if not points:
        return
    room = MAX_METRIC_POINTS - operation.metric_points.count()
    MetricPoint.objects.bulk_create(points[: max(0, room)], ignore_conflicts=True, batch_size=2000)


def _store_lines(operation: Operation, attempt: Attempt, lines: list[LogLine]) -> None:
    if not lines:
        return
    room = MAX_LOG_LINES - operation.log_lines.count()
    if room <= 0:
        return
    if len(lines) > room:
        lines = lines[:room]
        lines[-1].level = protocol.LogLevel.WARNING
        lines[-1].message = f"The log is cut here: {MAX_LOG_LINES} lines are kept per operation."
    LogLine.objects.bulk_create(lines, ignore_conflicts=True, batch_size=2000)
