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
            "epoch", {curve_name(operations, position): curve for position, curve in curves.items()}
        ),
        log=True,
        smooth=True,
    )


def _losses(operations: Sequence[Operation]) -> Curves:
    """Return validation losses by epoch. If attempts repeat an epoch, the last value counts."""
    points = MetricPoint.objects.filter(operation__in=operations, name="validation_loss")
    steps: dict[str, dict[int, float | None]] = {}
    for pk, step, value in points.order_by("attempt", "seq").values_list("operation_id", "step", "value"):
        steps.setdefault(pk, {})[step] = value
    return {
        position: sorted(steps[operation.pk].items())
        for position, operation in enumerate(operations)
        if operation.pk in steps
    }
