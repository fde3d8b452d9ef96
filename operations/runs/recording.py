"""Stores the headline metrics of a run when it completes."""

import math

from access.isolation import isolated
from operations.models import Operation, RunMetrics
from operations.registered_kinds import kind_of
from operations.runs.columns import METRICS
from operations.runs.settings import settings_of

MAX_POINTS = 40
"""Of a curve in a table."""


def record(operation: Operation) -> None:
    """Store the metrics of a completed operation if it is a run. A kind that cannot read a result does not undo it."""
    kind = kind_of(operation.operation_type)
    if not kind.is_run:
        return
    with isolated("recording the metrics of a run", operation_id=operation.pk):
        metrics = kind.run_metrics(operation)
        numbers = {name: finite(metrics.get(name)) for name in METRICS}
        curve = [point for value in kind.run_curve(operation) if (point := finite(value)) is not None]
        RunMetrics.objects.update_or_create(
            pk=operation.pk, defaults={**numbers, "curve": curve, "settings": settings_of(operation)}
        )


def finite(value: object) -> float | None:
    """Return a finite number, or None for anything else in a result."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
