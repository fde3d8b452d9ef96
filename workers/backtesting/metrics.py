"""The metrics of a backtest. Fractions, not percent; drawdown is negative; an undefined metric is None, never 0.

Volatility, Sharpe and Sortino ratio are based on daily equity: the last value of each UTC day, sample standard
deviation (ddof 1), no risk-free rate, 252 days a year, or 365 if at least a seventh of the days are weekend days.
The Sharpe ratio per bar is given as well, with the measured number of bars a year.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import significance

Floats = NDArray[np.float64]
Metrics = dict[str, float | int | str | None]

SECONDS_PER_YEAR = 365.25 * 86400
WEEKEND_SHARE = 1 / 7
TAIL = 0.05
KEYS = (
    "total_return", "cagr", "volatility", "sharpe", "sharpe_basis", "periods_per_year", "sortino", "calmar",
    "max_drawdown", "max_drawdown_bars", "max_drawdown_seconds", "exposure", "turnover", "trades", "win_rate",
    "profit_factor", "expectancy", "average_trade", "best_trade", "worst_trade", "sqn", "kelly", "var_95", "cvar_95",
    "fees", "slippage_cost", "initial_capital", "final_equity", "psr", "dsr", "trials",
)  # fmt: skip


def compute(
    equity: "pd.Series[float]",
    trades: pd.DataFrame | None = None,
    *,
    initial_capital: float | None = None,
    position: Floats | None = None,
    fees: float | None = None,
    slippage_cost: float | None = None,
    turnover: float | None = None,
    trials: int = 1,
    trial_sharpes: Floats | None = None,
) -> Metrics:
    """Compute all metrics from `equity` (one value per bar, UTC index of the bars' opens) and `Result.trades`.

    `position` (float64[n]) gives exposure; `turnover` is the notional traded, reported as a multiple of the mean
    equity. `trials`, and the daily Sharpe ratios of those trials if they are known, deflate the Sharpe ratio.
    Raises ValueError if the times are not strictly increasing or a value is not finite.
    """
    _validate(equity)
    values: Floats = np.asarray(equity, dtype=np.float64)
    index = equity.index
    assert isinstance(index, pd.DatetimeIndex)
    start = float(values[0] if initial_capital is None else initial_capital)
    metrics: Metrics = dict.fromkeys(KEYS)
    metrics |= {
        "initial_capital": start,
        "final_equity": float(values[-1]),
        "total_return": float(values[-1]) / start - 1.0,
        "cagr": cagr(start, float(values[-1]), _years(index)),
        "fees": fees,
        "slippage_cost": slippage_cost,
        "turnover": turnover / float(values.mean()) if turnover is not None and values.mean() > 0 else None,
        "exposure": float(np.count_nonzero(position) / len(values)) if position is not None else None,
        "trials": trials,
    }
    metrics |= _drawdown_metrics(values, start, index)
    metrics |= _risk_metrics(values, start, index, trials, trial_sharpes)
    drawdown, annual_growth = metrics["max_drawdown"], metrics["cagr"]
    if isinstance(drawdown, float) and isinstance(annual_growth, float) and drawdown < 0:
        metrics["calmar"] = annual_growth / abs(drawdown)
    if trades is not None:
        metrics |= trade_metrics(trades)
    return {key: _finite(metrics[key]) for key in KEYS} | {
        key: _finite(value) for key, value in metrics.items() if key not in KEYS
    }


def _validate(equity: "pd.Series[float]") -> None:
    if not isinstance(equity.index, pd.DatetimeIndex) or len(equity) == 0:
        raise ValueError("equity must have at least one value and an index of times")
    if not (equity.index.is_monotonic_increasing and equity.index.is_unique):
        raise ValueError("the times of equity must be strictly increasing")
    bad = ~np.isfinite(np.asarray(equity, dtype=np.float64))
    if bad.any():
        raise ValueError(f"equity is NaN or infinite at {equity.index[int(bad.argmax())]}")


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _years(index: pd.DatetimeIndex) -> float:
    """Return the calendar time from the first bar's open to the last bar's, plus one bar of the median length."""
    if len(index) < 2:
        return 0.0
    step = float(np.median(np.diff(_ticks(index)[-1001:]))) / _per_second(index)
    return float((index[-1] - index[0]).total_seconds() + step) / SECONDS_PER_YEAR


def _ticks(index: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Return the UTC time since 1970 in the index's own unit."""
    return index.values.view(np.int64)


def _per_second(index: pd.DatetimeIndex) -> float:
    return {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[index.unit]


def cagr(start: float, end: float, years: float) -> float | None:
    """Growth per year by calendar time (365.25 days); None if the start is not positive or no time has passed."""
    if years <= 0 or start <= 0:
        return None
    if end <= 0:
        return -1.0
    exponent = math.log(end / start) / years
    return math.expm1(exponent) if exponent < 700 else None


def daily_returns(values: Floats, start: float, index: pd.DatetimeIndex) -> tuple[Floats, float]:
    """Return (returns float64[days], days a year), from the last equity of each UTC day and of the day before it."""
    day = _ticks(index) // int(86400 * _per_second(index))
    last = np.append(day[1:] != day[:-1], True)
    days, closes = day[last], values[last]
    returns = _returns(closes, start)
    weekend = np.count_nonzero((days + 3) % 7 >= 5)  # day 0, 1970-01-01, was a Thursday: 3 from Monday
    return returns, 365.0 if weekend >= WEEKEND_SHARE * len(days) else 252.0


def _returns(values: Floats, start: float) -> Floats:
    before = np.concatenate(([start], values[:-1]))
    alive = before > 0
    return np.where(alive, values / np.where(alive, before, 1.0) - 1.0, 0.0)


def sharpe(returns: Floats) -> float | None:
    """Mean over standard deviation (ddof 1) per period; None if the returns do not vary."""
    if len(returns) < 2:
        return None
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > 1e-15 else None


def sortino(returns: Floats) -> float | None:
    """Mean over sqrt(mean(min(r, 0)^2)), over all n (Sortino and van der Meer 1991)."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean()) / downside if downside > 1e-15 else None


def _risk_metrics(
    values: Floats, start: float, index: pd.DatetimeIndex, trials: int, trial_sharpes: Floats | None
) -> Metrics:
    returns, days_per_year = daily_returns(values, start, index)
    years = _years(index)
    bars_per_year = len(values) / years if years > 0 else None
    per_bar = sharpe(_returns(values, start))
    daily_sharpe, daily_sortino = sharpe(returns), sortino(returns)
    metrics: Metrics = {
        "sharpe_basis": f"daily equity, {days_per_year:g} days a year, {len(returns)} days",
        "periods_per_year": days_per_year,
        "bars_per_year": bars_per_year,
        "sharpe_per_bar": per_bar * math.sqrt(bars_per_year)
        if per_bar is not None and bars_per_year
        else None,
    }
    if len(returns) > 1:
        metrics["volatility"] = float(returns.std(ddof=1)) * math.sqrt(days_per_year)
        metrics |= _tail_metrics(returns)
    if daily_sharpe is not None:
        metrics["sharpe"] = daily_sharpe * math.sqrt(days_per_year)
        metrics["psr"] = significance.probabilistic_sharpe(returns, 0.0)
        metrics["dsr"] = significance.deflated_sharpe(returns, trials, trial_sharpes)
    if daily_sortino is not None:
        metrics["sortino"] = daily_sortino * math.sqrt(days_per_year)
    return metrics


def _tail_metrics(returns: Floats) -> Metrics:
    """Historical value at risk and expected shortfall of one day, 5 %, as (negative) returns."""
    edge = float(np.quantile(returns, TAIL))
    return {"var_95": edge, "cvar_95": float(returns[returns <= edge].mean())}


def _drawdown_metrics(values: Floats, start: float, index: pd.DatetimeIndex) -> Metrics:
    """The deepest fall from a peak, and the longest time below a peak, which may be another fall."""
    peaks = np.maximum.accumulate(np.concatenate(([start], values)))[1:]
    under = values / peaks - 1.0
    below = under < 0
    if not below.any():
        return {"max_drawdown": 0.0, "max_drawdown_bars": 0, "max_drawdown_seconds": 0.0}
    at_peak = np.flatnonzero(~below)
    edges = np.concatenate(([-1], at_peak, [len(values)]))
    spells = np.diff(edges) - 1
    longest = int(spells.argmax())
    first, last = int(edges[longest]) + 1, int(edges[longest + 1]) - 1
    since = index[max(first - 1, 0)]
    until = index[min(last + 1, len(index) - 1)]
    return {
        "max_drawdown": float(under.min()),
        "max_drawdown_bars": int(spells.max()),
        "max_drawdown_seconds": float((until - since).total_seconds()),
    }


def trade_metrics(trades: pd.DataFrame) -> Metrics:
    """Metrics of the trades, in money and net of costs; an open position counts only in `trades`."""
    closed = trades[trades["exit_index"] >= 0]
    metrics: Metrics = {"trades": len(trades)}
    if len(closed) == 0:
        return metrics
    pnl = closed["pnl"].to_numpy(dtype=np.float64)
    returns = closed["return"].to_numpy(dtype=np.float64)
    gains, losses = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
    win_rate = float((pnl > 0).mean())
    metrics |= {
        "win_rate": win_rate,
        "profit_factor": gains / losses if losses > 0 else None,
        "expectancy": float(pnl.mean()),
        "average_trade": float(returns.mean()),
        "best_trade": float(returns.max()),
        "worst_trade": float(returns.min()),
    }
    deviation = float(pnl.std(ddof=1)) if len(pnl) > 1 else 0.0
    if deviation > 0:
        metrics["sqn"] = math.sqrt(len(pnl)) * float(pnl.mean()) / deviation  # Tharp 1998
    if 0 < win_rate < 1 and losses > 0:
        mean_gain, mean_loss = gains / (pnl > 0).sum(), losses / max(1, (pnl < 0).sum())
        metrics["kelly"] = float(win_rate - (1 - win_rate) / (mean_gain / mean_loss))  # Kelly 1956
    return metrics
