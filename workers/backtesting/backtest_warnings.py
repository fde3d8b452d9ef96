"""Warn about backtest results that should not be trusted."""

from typing import Any

import pandas as pd

from workers.backtesting.engine import Result
from workers.backtesting.metrics import Metrics
from workers.market_data.quality import suspected_splits

FEW_TRADES = 30
CONFIDENT = 0.95
IMPLAUSIBLE_SHARPE = 5.0
IMPLAUSIBLE_CAGR = 10.0
IMPLAUSIBLE_COST = 0.05

Warnings = list[tuple[str, str]]
"""(code, message)"""


def collect_warnings(
    result: Result,
    metrics: Metrics,
    sensitivity: dict[str, dict[str, Any]],
    training_period: tuple[pd.Timestamp, pd.Timestamp] | None,
    *,
    benchmark: Metrics | None = None,
    bars: pd.DataFrame | None = None,
) -> list[dict[str, str]]:
    """Return `[{code, message}]`, the most serious first.

    `training_period`: first and last bar that the model was trained on; `benchmark`: the metrics of buy and hold;
    `bars`: those of the test period.
    """
    closed = result.trades[result.trades["exit_index"] >= 0]
    warnings = [
        *_overlap(result, training_period),
        *_untradable(result, bars),
        *_ruin(result),
        *_implausible_costs(result),
        *_few_trades(closed),
        *_luck(metrics),
        *_concentration(closed),
        *_costs_exceed_profit(metrics),
        *_fragile_profit(metrics, sensitivity),
        *_worse_than_holding(metrics, benchmark),
        *_implausible(metrics),
        *_refused_and_reduced(result),
    ]
    return [{"code": code, "message": message} for code, message in warnings]


def _overlap(result: Result, training_period: tuple[pd.Timestamp, pd.Timestamp] | None) -> Warnings:
    if training_period is None:
        return []
    first, last = training_period
    if result.index[0] > last or result.index[-1] < first:
        return []
    message = (
        f"The test period starts on {result.index[0]:%Y-%m-%d}, but the model was trained on bars up to "
        f"{last:%Y-%m-%d}: this is not an out-of-sample test."
    )
    return [("overlap", message)]


def _untradable(result: Result, bars: pd.DataFrame | None) -> Warnings:
    """Warn about gains and fills that were not available to any trader."""
    rules = result.rules
    warnings: Warnings = []
    splits = pd.DatetimeIndex([]) if bars is None else suspected_splits(bars)
    if len(splits):
        message = (
            f"The price jumps at {len(splits)} bar{'s' if len(splits) > 1 else ''}, first on "
            f"{splits[0]:%Y-%m-%d}, as it does at a stock split: if the prices are not adjusted, the profit or "
            "loss of such a jump is not real."
        )
        warnings.append(("splits", message))
    if rules.fill == "same_close":
        message = (
            "Orders are filled at the same close that decides them, which is not possible in real trading."
        )
        warnings.append(("same_close", message))
    if result.fees == 0 and result.slippage_cost == 0 and result.entries:
        warnings.append(("no_costs", "Trading was free: commission, slippage and spread are all zero."))
    return warnings


def _ruin(result: Result) -> Warnings:
    if not result.ruined:
        return []
    closed = result.trades[result.trades["exit_reason"] == "ruin"]
    message = "The equity reached zero and trading ended."
    if len(closed):
        last = closed.iloc[-1]
        message = (
            f"The equity reached zero in the bar of {last['exit_time']:%Y-%m-%d %H:%M}: the position was liquidated at "
            f"the bar's worst price, {last['exit_price']:,.6g} after costs, and trading ended."
        )
    warnings = [("ruin", message)]
    if result.final_equity < 0:
        message = f"The loss exceeds the capital: the account owes {-result.final_equity:,.2f}; the metrics include this debt."
        warnings.append(("debt", message))
    return warnings


def _implausible_costs(result: Result) -> Warnings:
    """Warn about costs that are probably in another unit, such as points or percent."""
    rules, wide = result.rules, result.spread > IMPLAUSIBLE_COST
    limit = f"{100 * IMPLAUSIBLE_COST:g} %"
    messages = [
        f"The {name} of {100 * value:.4g} % of the {base} is implausible, above {limit}: check its unit."
        for name, value, base in (
            ("commission", rules.commission, "traded value"),
            ("slippage", rules.slippage, "price"),
        )
        if value > IMPLAUSIBLE_COST
    ]
    if wide.any():
        largest = int(result.spread.argmax())
        messages.append(
            f"The spread is above {limit} of the price at {int(wide.sum())} of {len(wide)} bars, at most "
            f"{100 * result.spread[largest]:.4g} % on {result.index[largest]:%Y-%m-%d}: check its unit."
        )
    return [("implausible_costs", message) for message in messages]


def _few_trades(closed: pd.DataFrame) -> Warnings:
    if len(closed) >= FEW_TRADES:
        return []
    count = f"{len(closed)} closed trade{'' if len(closed) == 1 else 's'}"
    return [("few_trades", f"Only {count}: this result could be chance.")]


def _luck(metrics: Metrics) -> Warnings:
    total, probability = metrics["total_return"], metrics["dsr"]
    if (
        not isinstance(total, float)
        or total <= 0
        or not isinstance(probability, float)
        or probability >= CONFIDENT
    ):
        return []
    chance = f"Only a {100 * probability:.0f} % chance that the true Sharpe ratio"
    if metrics["trials"] == 1:
        return [("luck", f"{chance} is above zero: this could be luck.")]
    return [
        ("luck", f"{chance} beats the best of {metrics['trials']} trials without skill: this could be luck.")
    ]


def _costs_exceed_profit(metrics: Metrics) -> Warnings:
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
    message = f"The costs ({costs:,.0f}) exceed the profit before costs ({profit + costs:,.0f})."
    return [("costs", message)]


def _worse_than_holding(metrics: Metrics, benchmark: Metrics | None) -> Warnings:
    total = metrics["total_return"]
    hold = None if benchmark is None else benchmark["total_return"]
    if not isinstance(total, float) or not isinstance(hold, float) or total >= hold:
        return []
    message = f"Buy and hold returned {100 * hold:+.1f} %, this strategy {100 * total:+.1f} %."
    return [("worse_than_holding", message)]


def _concentration(closed: pd.DataFrame) -> Warnings:
    profit = float(closed["pnl"].sum())
    best = float(closed["pnl"].max()) if len(closed) else 0.0
    if profit <= 0 or best <= profit / 2:
        return []
    message = f"One trade made {100 * best / profit:.0f} % of the profit; without it little remains."
    return [("concentration", message)]


def _fragile_profit(metrics: Metrics, sensitivity: dict[str, dict[str, Any]]) -> Warnings:
    total = metrics["total_return"]
    if not isinstance(total, float) or total <= 0:
        return []
    conditions = {"doubled_costs": "doubled costs", "one_bar_later": "a delay of one bar"}
    return [
        (name, f"With {conditions[name]} the profit disappears ({100 * figures['total_return']:+.1f} %).")
        for name, figures in sensitivity.items()
        if figures["total_return"] <= 0
    ]


def _implausible(metrics: Metrics) -> Warnings:
    sharpe, growth = metrics["sharpe"], metrics["cagr"]
    if isinstance(sharpe, float) and sharpe > IMPLAUSIBLE_SHARPE:
        message = (
            f"A Sharpe ratio of {sharpe:.1f} is implausible; check the data and the strategy for errors."
        )
        return [("implausible", message)]
    if isinstance(growth, float) and growth > IMPLAUSIBLE_CAGR:
        message = f"An annual return of {100 * growth:.0f} % is implausible; check the data and the strategy for errors."
        return [("implausible", message)]
    return []


def _refused_and_reduced(result: Result) -> Warnings:
    warnings: Warnings = []
    if result.refused:
        message = f"{_orders(result.refused)} refused: too small, not enough cash, or the ATR of the stops not yet known."
        warnings.append(("refused", message))
    if result.cut:
        warnings.append(("cut", f"{_orders(result.cut)} reduced to the maximum leverage."))
    return warnings


def _orders(count: int) -> str:
    return "1 order was" if count == 1 else f"{count} orders were"
