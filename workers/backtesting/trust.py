"""How far a result may be believed: what happens with worse costs or later fills, and plain warnings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import Metrics

FEW_TRADES = 30
IMPLAUSIBLE_SHARPE = 5.0
IMPLAUSIBLE_CAGR = 10.0


def stress(
    bars: pd.DataFrame,
    target: NDArray[np.int8],
    rules: Rules,
    spread: NDArray[np.float64] | None = None,
    before: pd.DataFrame | None = None,
) -> dict[str, dict[str, Any]]:
    """Total return with doubled costs, and with every decision one bar later; `spread` and `before` as in `simulate`."""
    dearer = replace(
        rules,
        commission=min(0.5, 2 * rules.commission),
        slippage=min(0.5, 2 * rules.slippage),
        spread=min(0.5, 2 * rules.spread),
    )
    late = np.concatenate((np.zeros(1, np.int8), target[:-1]))
    runs = {
        "doubled_costs": simulate(bars, target, dearer, None if spread is None else 2 * spread, before),
        "one_bar_later": simulate(bars, late, rules, spread, before),
    }
    return {
        name: {"total_return": run.final_equity / rules.initial_capital - 1.0, "trades": run.entries}
        for name, run in runs.items()
    }


def warnings(
    result: Result,
    metrics: Metrics,
    stressed: dict[str, dict[str, Any]],
    trained: tuple[pd.Timestamp, pd.Timestamp] | None,
) -> list[dict[str, str]]:
    """`[{code, message}]`, the plainest first. `trained`: first and last bar that the model has learned from."""
    found: list[tuple[str, str]] = []
    closed = result.trades[result.trades["exit_index"] >= 0]
    if trained is not None and result.index[0] <= trained[1] and result.index[-1] >= trained[0]:
        message = (
            f"The test period begins {result.index[0]:%Y-%m-%d}, but the model has learned from bars up to "
            f"{trained[1]:%Y-%m-%d}: this is not a test."
        )
        found.append(("overlap", message))
    if result.ruined:
        found.append(("ruin", "The equity reached zero; everything was closed and trading ended."))
    if len(closed) < FEW_TRADES:
        found.append(
            ("few_trades", f"Only {len(closed)} closed trades: chance alone can explain this result.")
        )
    found += _concentration(closed)
    found += _gone(metrics, stressed)
    found += _implausible(metrics)
    if result.refused:
        found.append(("refused", f"{result.refused} orders were refused (too small, or no money)."))
    if result.cut:
        found.append(("cut", f"{result.cut} orders were cut down to the leverage allowed."))
    return [{"code": code, "message": message} for code, message in found]


def _concentration(closed: pd.DataFrame) -> list[tuple[str, str]]:
    profit = float(closed["pnl"].sum())
    best = float(closed["pnl"].max()) if len(closed) else 0.0
    if profit > 0 and best > profit / 2:
        share = best / profit
        return [("concentration", f"One trade made {share:.0%} of the profit; without it little is left.")]
    return []


def _gone(metrics: Metrics, stressed: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    total = metrics["total_return"]
    if not isinstance(total, float) or total <= 0:
        return []
    words = {"doubled_costs": "doubled costs", "one_bar_later": "a delay of one bar"}
    return [
        (name, f"With {words[name]} the profit is gone ({run['total_return']:+.1%}).")
        for name, run in stressed.items()
        if run["total_return"] <= 0
    ]


def _implausible(metrics: Metrics) -> list[tuple[str, str]]:
    sharpe, growth = metrics["sharpe"], metrics["cagr"]
    if isinstance(sharpe, float) and sharpe > IMPLAUSIBLE_SHARPE:
        return [
            (
                "implausible",
                f"A Sharpe ratio of {sharpe:.1f} is hardly possible: look for an error in data or strategy.",
            )
        ]
    if isinstance(growth, float) and growth > IMPLAUSIBLE_CAGR:
        return [("implausible", f"A growth of {growth:.0%} a year is hardly possible: look for an error.")]
    return []
