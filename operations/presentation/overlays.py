"""Curves of several operations in one chart."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from operations.models import Operation
from operations.presentation.charts import Table, thinned
from operations.presentation.report_charts import Points, clock, series

TONES = 6
MAX_POINTS = 1500
"""Of a curve: ten of them are sent with the page."""
Curves = dict[int, Points]
"""By the operation's place in the comparison, from 0"""


def overlay(operations: Sequence[Operation], curves: Curves) -> list[dict[str, Any]]:
    """A colour for each place; from the seventh on the colours come again, dashed."""
    return [
        series(curve_name(operations, place), curve, tone=place % TONES + 1, dashed=place >= TONES)
        for place, curve in curves.items()
    ]


def curve_name(operations: Sequence[Operation], place: int) -> str:
    return f"{place + 1}. {operations[place].about}"  # type: ignore[attr-defined]  # of `described`


def table_by_time(operations: Sequence[Operation], curves: Curves) -> Table:
    """A row a moment; a curve without a point there has its last one before, none outside of its time."""
    moments = thinned(sorted({moment for curve in curves.values() for moment, _ in curve}))
    columns = [([moment for moment, _ in curve], curve) for curve in curves.values()]
    return Table(
        ["time", *(curve_name(operations, place) for place in curves)],
        [[clock(moment), *(_value_at(moment, *column) for column in columns)] for moment in moments],
    )


def _value_at(moment: int, times: list[int], curve: Points) -> float | None:
    if moment > times[-1]:
        return None
    place = bisect_right(times, moment)
    return curve[place - 1][1] if place else None
