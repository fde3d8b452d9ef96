"""The equity of several backtests in one chart."""

from collections.abc import Sequence
from typing import Any

import structlog

from operations.models import Operation
from operations.presentation.charts import Chart, thin
from operations.presentation.overlays import MAX_POINTS, overlay, table_by_time
from operations.presentation.report_charts import Points, chart, milliseconds, pane
from operations.presentation.stored_reports import read_several

logger = structlog.get_logger(__name__)


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
