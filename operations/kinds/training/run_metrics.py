"""Headline metrics and the small learning curve of a training."""

from typing import Any

from operations.models import MetricPoint, Operation
from operations.presentation.charts import thin
from operations.presentation.numbers import dig
from operations.runs.recording import MAX_POINTS, finite

SCORES = ("accuracy", "r2")
"""Of a classification and of a regression."""


def run_metrics(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "validation_score": _score(result, "validation"),
        "test_score": _score(result, "test"),
        "validation_loss": dig(result, "metrics", "validation", "loss"),
    }


def _score(result: dict[str, Any], part: str) -> float | None:
    values = (finite(dig(result, "metrics", part, name)) for name in SCORES)
    return next((value for value in values if value is not None), None)


def learning_curve(operation: Operation) -> list[float]:
    """Return the validation loss by epoch. If attempts repeat an epoch, the last value counts."""
    points = MetricPoint.objects.filter(operation=operation, name="validation_loss").order_by(
        "attempt", "seq"
    )
    losses = dict(points.values_list("step", "value"))
    return thin([loss for _, loss in sorted(losses.items())], MAX_POINTS)
