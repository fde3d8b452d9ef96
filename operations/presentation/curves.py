"""Metric points of an operation as curves."""

from operations.models import MetricPoint, Operation
from operations.presentation.charts import Curve

MAX_POINTS = 200_000


def curves(operation: Operation) -> dict[str, Curve]:
    """Return metric points by name, ordered by step. If attempts repeat a step, the last value counts."""
    points = MetricPoint.objects.filter(operation=operation).order_by("attempt", "seq")
    by_name: dict[str, dict[int, float | None]] = {}
    for name, step, value in points.values_list("name", "step", "value")[:MAX_POINTS]:
        by_name.setdefault(name, {})[step] = value
    return {name: sorted(steps.items()) for name, steps in by_name.items()}
