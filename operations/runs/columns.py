"""The metrics by which runs are sorted and filtered: names, titles and formats."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.presentation.numbers import decimal, integer, percent, short, signed_percent


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    """The field of `RunMetrics`."""
    title: str
    format: Callable[[Any], str]
    alias: str | None = None
    """Another name in filter expressions."""
    is_signed: bool = False
    """Whether the sign is a gain or a loss."""
    more_is_better: bool = True


METRICS = {
    metric.name: metric
    for metric in (
        Metric("total_return", "Return", signed_percent, "return", is_signed=True),
        Metric("excess_return", "Excess over hold", signed_percent, "excess", is_signed=True),
        Metric("sharpe", "Sharpe", decimal),
        Metric("dsr", "DSR", percent),
        Metric("max_drawdown", "Max drawdown", percent, "drawdown"),
        Metric("trades", "Trades", integer),
        Metric("win_rate", "Win rate", percent),
        Metric("validation_score", "Validation score", percent, "score"),
        Metric("test_score", "Test score", percent),
        Metric("validation_loss", "Validation loss", short, "loss", more_is_better=False),
        Metric("cagr", "CAGR", signed_percent, is_signed=True),
        Metric("sortino", "Sortino", decimal),
        Metric("calmar", "Calmar", decimal),
        Metric("psr", "PSR", percent),
        Metric("volatility", "Volatility", percent, more_is_better=False),
        Metric("exposure", "Exposure", percent),
        Metric("turnover", "Turnover", decimal),
        Metric("profit_factor", "Profit factor", decimal),
    )
}
"""In the order of the table."""


def find_metric(name: str) -> Metric | None:
    """Find a metric by its name or its alias."""
    return METRICS.get(name) or next((metric for metric in METRICS.values() if metric.alias == name), None)
