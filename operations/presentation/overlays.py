"""Curves of several operations in one chart."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from operations.models import Operation
from operations.presentation.charts import Table, thin
from operations.presentation.report_charts import Points, clock, series

TONES = 6
MAX_POINTS = 1500
"""per curve"""
Curves = dict[int, Points]
"""by the operation's position in the comparison, from 0"""


def overlay(operations: Sequence[Operation], curves: Curves) -> list[dict[str, Any]]:
    """Draw each curve in its colour; from the seventh on, colours repeat with dashed lines."""
    return [
        series(curve_name(operations, position), curve, tone=position % TONES + 1, dashed=position >= TONES)
        for position, curve in curves.items()
    ]


def curve_name(operations: Sequence[Operation], position: int) -> str:
    return f"{position + 1}. {operations[position].about}"  # type: ignore[attr-defined]  # set by `describe`


def table_by_time(operations: Sequence[Operation], curves: Curves) -> Table:
    """Tabulate curves by time. A curve without a point at a time shows its previous one, but none after its end."""
    moments = thin(sorted({moment for curve in curves.values() for moment, _ in curve}))
    columns = [([moment for moment, _ in curve], curve) for curve in curves.values()]
    return Table(
        ["time", *(curve_name(operations, position) for position in curves)],
        [[clock(moment), *(_value_at(moment, *column) for column in columns)] for moment in moments],
    )


def _value_at(moment: int, times: list[int], curve: Points) -> float | None:
    if moment > times[-1]:
        return None
    position = bisect_right(times, moment)
    return curve[position - 1][1] if position else None
