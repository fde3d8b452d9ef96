"""Curves of several operations in one chart: the equity of backtests, the validation loss of trainings."""

from bisect import bisect_right
from typing import Any

import structlog

from operations.models import MetricPoint, Operation
from operations.presentation.charts import Chart, Table, side_by_side, thinned
from operations.presentation.report_charts import Points, chart, clock, milliseconds, pane, series
from operations.presentation.stored_reports import read_several

logger = structlog.get_logger(__name__)

TONES = 6
MOST_POINTS = 1500
"""Of a curve: ten of them are sent with the page."""
Curves = dict[int, Points]
"""By the operation's place in the comparison, from 0"""


def loss_chart(operations: list[Operation]) -> Chart | None:
    curves = _losses(operations)
    return chart(
        "compare-loss",
        "Validation loss",
        {"type": "value", "name": "epoch"},
        [pane("validation loss", *_overlaid(operations, curves), log=True, smooth=True)],
        table=side_by_side("epoch", {_name(operations, place): curve for place, curve in curves.items()}),
        log=True,
        smooth=True,
    )


def _losses(operations: list[Operation]) -> Curves:
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


def equity_chart(operations: list[Operation]) -> Chart | None:
    """As growth of what each began with, so that other capital does not hide how they went."""
    reports = read_several([one for one in operations if one.operation_type == "backtesting"])
    curves = {
        place: curve
        for place, operation in enumerate(operations)
        if (curve := _growth(operation, reports.get(operation.pk) or {}))
    }
    return chart(
        "compare-equity",
        "Equity",
        {"type": "time", "name": "time"},
        [pane("growth", *_overlaid(operations, curves), log=True)],
        table=_by_time(operations, curves),
        log=True,
        zoom=True,
        note="growth of what each began with; 1 is its initial capital",
    )


def _growth(operation: Operation, report: dict[str, Any]) -> Points:
    """Nothing of a report that has another shape than ours."""
    try:
        drawn = report.get("series") or {}
        times, equity = drawn.get("time") or [], drawn.get("equity") or []
        capital = operation.result["metrics"]["initial_capital"]  # type: ignore[index]  # caught like any other shape
        points = [
            (milliseconds(time), float(f"{value / capital:.6g}"))
            for time, value in zip(times, equity, strict=False)
            if value is not None
        ]
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        logger.warning("a report has no equity to be drawn", operation_id=operation.pk, reason=repr(error))
        return []
    return thinned(points, MOST_POINTS)


def _overlaid(operations: list[Operation], curves: Curves) -> list[dict[str, Any]]:
    """A colour for each place; from the seventh on the colours come again, dashed."""
    return [
        series(_name(operations, place), curve, tone=place % TONES + 1, dashed=place >= TONES)
        for place, curve in curves.items()
    ]


def _name(operations: list[Operation], place: int) -> str:
    return f"{place + 1}. {operations[place].about}"  # type: ignore[attr-defined]  # of `described`


def _by_time(operations: list[Operation], curves: Curves) -> Table:
    """A row a moment; a curve without a point there has its last one before, none outside of its time."""
    moments = thinned(sorted({moment for curve in curves.values() for moment, _ in curve}))
    columns = [([moment for moment, _ in curve], curve) for curve in curves.values()]
    return Table(
        ["time", *(_name(operations, place) for place in curves)],
        [[clock(moment), *(_known(moment, *column) for column in columns)] for moment in moments],
    )


def _known(moment: int, times: list[int], curve: Points) -> float | None:
    if moment > times[-1]:
        return None
    place = bisect_right(times, moment)
    return curve[place - 1][1] if place else None
