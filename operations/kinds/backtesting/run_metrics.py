"""Headline metrics and the small equity curve of a backtest."""

from typing import Any

from operations.models import Operation
from operations.presentation import stored_reports
from operations.presentation.charts import thin
from operations.presentation.numbers import dig
from operations.runs.columns import METRICS
from operations.runs.recording import MAX_POINTS, finite


def run_metrics(result: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the result, and the return minus that of buy and hold."""
    own = dig(result, "metrics")
    metrics = {name: own.get(name) for name in METRICS} if isinstance(own, dict) else {}
    earned, held = finite(metrics.get("total_return")), finite(dig(result, "benchmark", "total_return"))
    return {**metrics, "excess_return": None if earned is None or held is None else earned - held}


def equity_curve(operation: Operation) -> list[float]:
    """Return the equity as growth of the initial capital; empty if the report is missing."""
    try:
        equity = dig(stored_reports.read(operation), "series", "equity")
    except stored_reports.ReportUnavailableError:
        return []
    values = (
        [number for value in equity if (number := finite(value)) is not None]
        if isinstance(equity, list)
        else []
    )
    if not values or values[0] <= 0:
        return []
    return [round(value / values[0], 5) for value in thin(values, MAX_POINTS)]
