"""Comparison of backtests: their equity in one chart, and warnings about different rules."""

from collections.abc import Sequence
from typing import Any

import structlog

from operations.models import Operation
from operations.presentation.charts import Chart, thin
from operations.presentation.numbers import dig
from operations.presentation.overlays import MAX_POINTS, overlay, table_by_time
from operations.presentation.report_charts import Points, chart, milliseconds, pane
from operations.presentation.stored_reports import read_several

logger = structlog.get_logger(__name__)

FIRST_SEMANTICS = "1"
"""Of results that do not name their engine semantics."""


def equity_chart(operations: Sequence[Operation]) -> Chart | None:
    """Draw equity as growth of the initial capital, so that backtests with different capital are comparable."""
    reports = read_several([row for row in operations if row.operation_type == "backtesting"])
    curves = {
        position: curve
        for position, operation in enumerate(operations)
        if (curve := _growth(operation, reports.get(operation.pk) or {}))
    }
    return chart(
        "compare-equity",
        "Equity",
        {"type": "time", "name": "time"},
        [pane("growth", *overlay(operations, curves), log=True)],
        table=table_by_time(operations, curves),
        log=True,
        zoom=True,
        note="Growth of 1 invested",
    )


def warnings(operations: Sequence[Operation]) -> list[str]:
    """Return a sentence if the backtests have different engine semantics."""
    positions: dict[str, list[int]] = {}
    for position, operation in enumerate(operations, 1):
        if operation.operation_type == "backtesting" and operation.result:
            semantics = str(dig(operation.result, "settings", "engine_semantics") or FIRST_SEMANTICS)
            positions.setdefault(semantics, []).append(position)
    if len(positions) < 2:
        return []
    parts = [
        f"{semantics} ({', '.join(f'{position}.' for position in places)})"
        for semantics, places in sorted(positions.items())
    ]
    sentence = (
        f"These backtests have different engine semantics: {' and '.join(parts)}. Costs, margin and annual figures "
        "follow different rules, so run the older ones again before comparing them."
    )
    return [sentence]


def _growth(operation: Operation, report: dict[str, Any]) -> Points:
    """Return the growth curve; empty if the report has an unknown format."""
    try:
        columns = report.get("series") or {}
        times, equity = columns.get("time") or [], columns.get("equity") or []
        capital = operation.result["metrics"]["initial_capital"]  # type: ignore[index]  # a missing result is caught below
        points = [
            (milliseconds(time), float(f"{value / capital:.6g}"))
            for time, value in zip(times, equity, strict=False)
            if value is not None
        ]
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        logger.warning("could not draw the equity of a report", operation_id=operation.pk, reason=repr(error))
        return []
    return thin(points, MAX_POINTS)
