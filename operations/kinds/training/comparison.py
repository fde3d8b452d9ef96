"""The validation loss of several trainings in one chart."""

from collections.abc import Sequence

from operations.models import MetricPoint, Operation
from operations.presentation.charts import Chart, side_by_side
from operations.presentation.overlays import Curves, curve_name, overlay
from operations.presentation.report_charts import chart, pane


def loss_chart(operations: Sequence[Operation]) -> Chart | None:
    curves = _losses(operations)
    return chart(
        "compare-loss",
        "Validation loss",
        {"type": "value", "name": "epoch"},
        [pane("validation loss", *overlay(operations, curves), log=True, smooth=True)],
        table=side_by_side(
            "epoch", {curve_name(operations, place): curve for place, curve in curves.items()}
        ),
        log=True,
        smooth=True,
    )


def _losses(operations: Sequence[Operation]) -> Curves:
    """Where a later attempt did an epoch again, its value counts."""
    points = MetricPoint.objects.filter(operation__in=operations, name="validation_loss")
    steps: dict[str, dict[int, float | None]] = {}
    for pk, step, value in points.order_by("attempt", "seq").values_list("operation_id", "step", "value"):
        steps.setdefault(pk, {})[step] = value
    return {
        place: sorted(steps[operation.pk].items())
        for place, operation in enumerate(operations)
        if operation.pk in steps
    }
