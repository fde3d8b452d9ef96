"""Metrics of several operations as rows: in the order in which people ask for them, in their units, the best marked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.kinds.backtesting import metric_rows
from operations.kinds.training import scores
from operations.models import Operation
from operations.presentation.numbers import percent, short

# Metrics of which more is better, and of which less is; of others (counts, settings) neither.
MORE_IS_BETTER = {
    "total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "win_rate", "profit_factor", "expectancy",
    "average_trade", "best_trade", "worst_trade", "sqn", "var_95", "cvar_95", "final_equity", "psr", "dsr", "accuracy",
    "f1", "precision", "recall", "r2", "balanced_accuracy", "mcc",
}  # fmt: skip
LESS_IS_BETTER = {"volatility", "fees", "slippage_cost", "loss", "rmse", "mae", "mse", "log_loss", "brier"}
PARTS = ("test", "validation", "train")


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    name: str
    """`sharpe` of a backtest, `test.accuracy` of a training"""
    title: str
    texts: list[str]
    best: frozenset[int]
    """indices of the best value, several where they are equal"""


def rows(operations: list[Operation]) -> list[ComparedMetric]:
    metrics = [_metrics(operation) for operation in operations]
    names = sorted(dict.fromkeys(name for one in metrics for name in one), key=_rank)
    return [_row(name, [one.get(name) for one in metrics]) for name in names]


def _metrics(operation: Operation) -> dict[str, float]:
    """The figures alone, by dotted name."""
    flat: dict[str, float] = {}
    for name, value in ((operation.result or {}).get("metrics") or {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items() if isinstance(inner, int | float)}
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _rank(name: str) -> tuple[int, int]:
    """Known ones first, those of a training on its test part before the others."""
    part, _, key = name.rpartition(".")
    known = list(scores.NAMES if part else metric_rows.FORMATS)
    return (
        PARTS.index(part) if part in PARTS else len(PARTS),
        known.index(key) if key in known else len(known),
    )


def _row(name: str, values: list[float | None]) -> ComparedMetric:
    part, _, key = name.rpartition(".")
    reads: Callable[[Any], str]
    if part:
        title = f"{scores.NAMES.get(key, metric_rows.title(key))}, {part}"
        reads = percent if key in scores.SHARES else short
    else:
        title, reads = metric_rows.title(key), metric_rows.FORMATS.get(key, short)
    return ComparedMetric(name, title, [reads(value) for value in values], _best(key, values))


def _best(key: str, values: list[float | None]) -> frozenset[int]:
    known = {value for value in values if value is not None}
    if len(known) < 2 or key not in MORE_IS_BETTER | LESS_IS_BETTER:
        return frozenset()
    best = max(known) if key in MORE_IS_BETTER else min(known)
    return frozenset(place for place, value in enumerate(values) if value == best)
