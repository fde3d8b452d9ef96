"""How far a result may be believed: what happens with worse costs or later fills, and plain warnings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import Metrics
from workers.market_data.quality import suspected_splits

FEW_TRADES = 30
CONFIDENT = 0.95
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
    *,
    benchmark: Metrics | None = None,
    bars: pd.DataFrame | None = None,
) -> list[dict[str, str]]:
    """`[{code, message}]`, the plainest first. `trained`: first and last bar that the model has learned from;
    `benchmark`: the figures of holding; `bars`: those under test."""
    found: list[tuple[str, str]] = []
    closed = result.trades[result.trades["exit_index"] >= 0]
    if trained is not None and result.index[0] <= trained[1] and result.index[-1] >= trained[0]:
        message = (
            f"The test period begins {result.index[0]:%Y-%m-%d}, but the model has learned from bars up to "
            f"{trained[1]:%Y-%m-%d}: this is not a test."
        )
        found.append(("overlap", message))
    found += _unreal(result, bars)
    if result.ruined:
        found.append(("ruin", "The equity reached zero; everything was closed and trading ended."))
    if len(closed) < FEW_TRADES:
        found.append(
            ("few_trades", f"Only {len(closed)} closed trades: chance alone can explain this result.")
        )
    found += _luck(metrics)
    found += _concentration(closed)
    found += _eaten_by_costs(metrics)
    found += _gone(metrics, stressed)
    found += _worse_than_holding(metrics, benchmark)
    found += _implausible(metrics)
    if result.refused:
        why = "too small, no money, or no range yet to measure a stop in"
        found.append(("refused", f"{result.refused} orders were refused ({why})."))
    if result.cut:
        found.append(("cut", f"{result.cut} orders were cut down to the leverage allowed."))
    return [{"code": code, "message": message} for code, message in found]


def _unreal(result: Result, bars: pd.DataFrame | None) -> list[tuple[str, str]]:
    """What nobody could have traded."""
    rules, found = result.rules, []
    splits = pd.DatetimeIndex([]) if bars is None else suspected_splits(bars)
    if len(splits):
        message = (
            f"The price jumps as by a split before {len(splits)} of the bars, first on {splits[0]:%Y-%m-%d}: "
            "where prices are not adjusted, such a jump is a profit or a loss that nobody had."
        )
        found.append(("splits", message))
    if rules.fill == "same_close":
        message = "Orders are filled at the close that they were decided on, which nobody can trade."
        found.append(("same_close", message))
    if result.fees == 0 and result.slippage_cost == 0 and result.entries:
        found.append(("no_costs", "No order cost anything: neither commission, nor slippage, nor spread."))
    return found


def _luck(metrics: Metrics) -> list[tuple[str, str]]:
    total, sure = metrics["total_return"], metrics["dsr"]
    if not isinstance(total, float) or total <= 0 or not isinstance(sure, float) or sure >= CONFIDENT:
        return []
    tries = f"the best of {metrics['trials']} tries without skill" if metrics["trials"] != 1 else "zero"
    return [
        ("luck", f"The true Sharpe ratio is above {tries} with {100 * sure:.0f} % only: this can be luck.")
    ]


def _eaten_by_costs(metrics: Metrics) -> list[tuple[str, str]]:
    start, end, fees, slippage = (
        metrics[name] for name in ("initial_capital", "final_equity", "fees", "slippage_cost")
    )
    if not (
        isinstance(start, float)
        and isinstance(end, float)
        and isinstance(fees, float)
        and isinstance(slippage, float)
    ):
        return []
    profit, costs = end - start, fees + slippage
    if profit > 0 or profit + costs <= 0:
        return []
    return [
        (
            "costs",
            f"The costs ({costs:,.0f}) are larger than what trading made before them ({profit + costs:,.0f}).",
        )
    ]


def _worse_than_holding(metrics: Metrics, benchmark: Metrics | None) -> list[tuple[str, str]]:
    own = metrics["total_return"]
    hold = None if benchmark is None else benchmark["total_return"]
    if not isinstance(own, float) or not isinstance(hold, float) or own >= hold:
        return []
    return [
        ("worse_than_holding", f"Buying and holding made {100 * hold:+.1f} %, this made {100 * own:+.1f} %.")
    ]


def _concentration(closed: pd.DataFrame) -> list[tuple[str, str]]:
    profit = float(closed["pnl"].sum())
    best = float(closed["pnl"].max()) if len(closed) else 0.0
    if profit > 0 and best > profit / 2:
        share = best / profit
        return [
            ("concentration", f"One trade made {100 * share:.0f} % of the profit; without it little is left.")
        ]
    return []


def _gone(metrics: Metrics, stressed: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    total = metrics["total_return"]
    if not isinstance(total, float) or total <= 0:
        return []
    words = {"doubled_costs": "doubled costs", "one_bar_later": "a delay of one bar"}
    return [
        (name, f"With {words[name]} the profit is gone ({100 * run['total_return']:+.1f} %).")
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
        return [
            ("implausible", f"A growth of {100 * growth:.0f} % a year is hardly possible: look for an error.")
        ]
    return []
