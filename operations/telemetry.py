"""Metric points and log lines: appended once, in order, up to a limit. A notice marks the cut."""

from collections.abc import Sequence

from django.db.models.functions import Greatest

from operations import lifecycle
from operations.actors import Actor
from operations.models import Attempt, LogLine, MetricPoint, Operation
from worker_agent import protocol

KEPT_ATTEMPTS = 2
"""An operation keeps as many metric points and log lines as this number of attempts may have."""
OPERATION_METRIC_POINTS = KEPT_ATTEMPTS * protocol.MAX_METRIC_POINTS
OPERATION_LOG_LINES = KEPT_ATTEMPTS * protocol.MAX_LOG_LINES


def append(
    operation: Operation,
    attempt: Attempt,
    metrics: Sequence[protocol.MetricPoint],
    logs: Sequence[protocol.LogLine],
) -> None:
    """Store the new points and lines of a batch; a batch sent twice is harmless.

    The caller holds the operation's row lock, so the rows of one operation are committed in the order of their ids and a
    reader with a cursor never misses one that commits late.
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
            message=line.message,
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
    cut = _store_points(operation, points)
    _store_lines(operation, lines)
    if cut is not None:
        # An event rather than a log line: the notice has no sequence number of the worker.
        lifecycle.record(
            operation,
            "metrics_cut",
            Actor.worker(attempt.worker_id),
            f"{OPERATION_METRIC_POINTS} metric points are kept per operation; {cut.name} is cut at step {cut.step}.",
            attempt=attempt.number,
        )
    Attempt.objects.filter(pk=attempt.pk).update(
        **{name: Greatest(name, value) for name, value in cursors.items()}
    )
    attempt.metrics_cursor, attempt.logs_cursor = cursors["metrics_cursor"], cursors["logs_cursor"]


def _store_points(operation: Operation, points: list[MetricPoint]) -> MetricPoint | None:
    """Store what fits; return the first point that does not, once per operation."""
    if not points:
        return None
    room = OPERATION_METRIC_POINTS - operation.metric_points.count()
    MetricPoint.objects.bulk_create(points[: max(0, room)], ignore_conflicts=True, batch_size=2000)
    if room >= len(points) or operation.events.filter(kind="metrics_cut").exists():
        return None
    return points[max(0, room)]


def _store_lines(operation: Operation, lines: list[LogLine]) -> None:
    if not lines:
        return
    room = OPERATION_LOG_LINES - operation.log_lines.count()
    if room <= 0:
        return
    if len(lines) >= room:
        # The last line is the notice, so that lines are never dropped silently.
        lines = lines[:room]
        lines[-1].level = protocol.LogLevel.WARNING
        lines[-1].message = f"The log is cut here: {OPERATION_LOG_LINES} lines are kept per operation."
    LogLine.objects.bulk_create(lines, ignore_conflicts=True, batch_size=2000)
