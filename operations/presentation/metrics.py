"""Display of result metrics: title, unit, and which values are better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.presentation.numbers import short

LAST = 1_000_000
MORE_IS_BETTER = {
    "total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "win_rate", "profit_factor", "expectancy",
    "average_trade", "best_trade", "worst_trade", "sqn", "var_95", "cvar_95", "final_equity", "psr", "dsr", "accuracy",
    "f1", "precision", "recall", "r2", "balanced_accuracy", "mcc",
}  # fmt: skip
LESS_IS_BETTER = {
    "volatility",
    "fees",
    "slippage_cost",
    "debt",
    "loss",
    "rmse",
    "mae",
    "mse",
    "log_loss",
    "brier",
}


@dataclass(frozen=True, slots=True)
class MetricStyle:
    title: str
    format: Callable[[Any], str] = short
    rank: int = LAST
    """position in a table; equal ranks keep the order of the result"""


def best_values(name: str, values: list[float | None]) -> frozenset[int]:
    """Return the indices of the best value (several if equal), or none if neither direction is better."""
    key = name.rpartition(".")[2]
    distinct = {value for value in values if value is not None}
    if len(distinct) < 2 or key not in MORE_IS_BETTER | LESS_IS_BETTER:
        return frozenset()
    best = max(distinct) if key in MORE_IS_BETTER else min(distinct)
    return frozenset(index for index, value in enumerate(values) if value == best)
