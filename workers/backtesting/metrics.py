"""The metrics of a backtest. Fractions, not percent; drawdown is negative; an undefined metric is None, never 0.

Volatility, Sharpe, Sortino, PSR, DSR, VaR and CVaR have one basis: the returns of `periods` (sessions of the calendar,
or bars longer than a day), sample standard deviation (ddof 1), no risk-free rate. `sharpe_basis` states it. The Sharpe
ratio per bar is given as well, with the measured number of bars a year.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import significance
from workers.backtesting.equity_passes import find_falls, growth_moments, mean_and_squares
from workers.backtesting.periods import SECONDS_PER_YEAR, Periods, bar_days, periods_of

Floats = NDArray[np.float64]
Metrics = dict[str, float | int | str | None]

TAIL = 0.05
SMALLEST_DEVIATION = 1e-15
"""Returns that deviate less do not vary."""
TURNOVER_BASIS = "notional traded / mean equity, whole period"
KEYS = (
    "total_return", "cagr", "volatility", "sharpe", "sharpe_basis", "periods_per_year", "sortino", "calmar",
    "max_drawdown", "max_drawdown_bars", "max_drawdown_seconds", "exposure", "turnover", "turnover_basis",
    "trades", "win_rate", "profit_factor", "expectancy", "average_trade", "best_trade", "worst_trade", "sqn", "kelly",
    "var_95", "cvar_95", "fees", "slippage_cost", "initial_capital", "final_equity", "debt", "psr", "dsr", "trials",
)  # fmt: skip


def compute(
    equity: "pd.Series[float]",
    trades: pd.DataFrame | None = None,
    *,
    initial_capital: float | None = None,
    calendar: str | None = None,
    position: Floats | None = None,
    fees: float | None = None,
    slippage_cost: float | None = None,
    turnover: float | None = None,
    trials: int = 1,
    trial_sharpes: Floats | None = None,
) -> Metrics:
    """Compute all metrics from `equity` (one value per bar, UTC index of the bars' opens) and `Result.trades`.

    `initial_capital` is the equity before the first bar; without it the first value is only the base of later ones.
    `calendar` decides what a day is; it defaults to `equity.attrs["calendar"]`, or else to a guess from the times.
    `position` (float64[n]) gives exposure; `turnover` is the notional traded, reported as a multiple of the mean
    equity. `trials`, and the Sharpe ratios per period of those trials if they are known, deflate the Sharpe ratio.
    Raises ValueError if the times are not strictly increasing or a value is not finite, and MarketDataError if the
    calendar does not exist or does not cover the times.
    """
    _validate_times(equity)
    values: Floats = np.ascontiguousarray(equity, dtype=np.float64)
    index = equity.index
    assert isinstance(index, pd.DatetimeIndex)
    start = float(values[0] if initial_capital is None else initial_capital)
    periods = periods_of(index, calendar or equity.attrs.get("calendar"))
    years = _years(index, with_first_bar=initial_capital is not None)
    mean_equity = float(values.mean())
    if not math.isfinite(mean_equity):
        _refuse_non_finite(equity)
    metrics: Metrics = dict.fromkeys(KEYS)
    metrics |= {
        "initial_capital": start,
        "final_equity": float(values[-1]),
        "total_return": float(values[-1]) / start - 1.0,
        "debt": max(0.0, -float(values[-1])),
        "cagr": cagr(start, float(values[-1]), years),
        "fees": fees,
        "slippage_cost": slippage_cost,
        "turnover": turnover / mean_equity if turnover is not None and mean_equity > 0 else None,
        "turnover_basis": TURNOVER_BASIS,
        "exposure": float(np.count_nonzero(position) / len(values)) if position is not None else None,
        "trials": trials,
    }
    metrics |= _drawdown_metrics(values, start, index)
    metrics |= _risk_metrics(periods, periods.returns(values, initial_capital), trials, trial_sharpes)
    metrics |= _metrics_per_bar(values if initial_capital is not None else values[1:], start, years)
    drawdown, annual_growth = metrics["max_drawdown"], metrics["cagr"]
    if isinstance(drawdown, float) and isinstance(annual_growth, float) and drawdown < 0:
        metrics["calmar"] = annual_growth / abs(drawdown)
    if trades is not None:
        metrics |= trade_metrics(trades)
    return {key: _finite(metrics[key]) for key in KEYS} | {
        key: _finite(value) for key, value in metrics.items() if key not in KEYS
    }


def _validate_times(equity: "pd.Series[float]") -> None:
    if not isinstance(equity.index, pd.DatetimeIndex) or len(equity) == 0:
        raise ValueError("equity must have at least one value and an index of times")
    if not (equity.index.is_monotonic_increasing and equity.index.is_unique):
        raise ValueError("the times of equity must be strictly increasing")


def _refuse_non_finite(equity: "pd.Series[float]") -> None:
    """Raise ValueError with the first time at which equity is not finite. A mean that is finite needs no such search."""
    bad = ~np.isfinite(np.asarray(equity, dtype=np.float64))
    if bad.any():
        raise ValueError(f"equity is NaN or infinite at {equity.index[int(bad.argmax())]}")


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _years(index: pd.DatetimeIndex, *, with_first_bar: bool) -> float:
    """Return the time from the first mark to the last in years.

    Each bar is marked at its close, so the first bar's own length counts only if equity before it is known.
    """
    first_bar = bar_days(index) * 86400 if with_first_bar else 0.0
    return (float((index[-1] - index[0]).total_seconds()) + first_bar) / SECONDS_PER_YEAR


def cagr(start: float, end: float, years: float) -> float | None:
    """Growth per year by calendar time (365.25 days); None if the start is not positive or no time has passed."""
    if years <= 0 or start <= 0:
        return None
    if end <= 0:
        return -1.0
    exponent = math.log(end / start) / years
    return math.expm1(exponent) if exponent < 700 else None


def sharpe(returns: Floats) -> float | None:
    """Mean over standard deviation (ddof 1) per period; None if the returns do not vary."""
    if len(returns) < 2:
        return None
    mean, squares = mean_and_squares(returns)
    deviation = math.sqrt(squares / (len(returns) - 1))
    return float(mean) / deviation if deviation > SMALLEST_DEVIATION else None


def sortino(returns: Floats) -> float | None:
    """Mean over sqrt(mean(min(r, 0)^2)), over all n (Sortino and van der Meer 1991)."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean()) / downside if downside > 1e-15 else None


def _risk_metrics(periods: Periods, returns: Floats, trials: int, trial_sharpes: Floats | None) -> Metrics:
    per_year = periods.per_year
    ratio, downside_ratio = sharpe(returns), sortino(returns)
    metrics: Metrics = {"sharpe_basis": periods.basis(len(returns)), "periods_per_year": per_year}
    if len(returns) > 1:
        metrics["volatility"] = float(returns.std(ddof=1)) * math.sqrt(per_year)
        metrics |= _tail_metrics(returns)
    if ratio is not None:
        metrics["sharpe"] = ratio * math.sqrt(per_year)
        metrics["psr"] = significance.probabilistic_sharpe(returns, 0.0)
        metrics["dsr"] = significance.deflated_sharpe(returns, trials, trial_sharpes)
    if downside_ratio is not None:
        metrics["sortino"] = downside_ratio * math.sqrt(per_year)
    return metrics


def _metrics_per_bar(marks: Floats, start: float, years: float) -> Metrics:
    """`marks`: float64[n], one for each return; `start` is the mark before the first one."""
    n = len(marks)
    bars_per_year = n / years if years > 0 else None
    if n < 2:
        return {"bars_per_year": bars_per_year, "sharpe_per_bar": None}
    mean, squares = growth_moments(marks, start)
    deviation = math.sqrt(squares / (n - 1))
    varies = deviation > SMALLEST_DEVIATION
    annual = mean / deviation * math.sqrt(bars_per_year) if varies and bars_per_year else None
    return {"bars_per_year": bars_per_year, "sharpe_per_bar": annual}


def _tail_metrics(returns: Floats) -> Metrics:
    """Historical value at risk and expected shortfall of one period, 5 %, as (negative) returns."""
    edge = float(np.quantile(returns, TAIL))
    return {"var_95": edge, "cvar_95": float(returns[returns <= edge].mean())}


def _drawdown_metrics(values: Floats, start: float, index: pd.DatetimeIndex) -> Metrics:
    """The deepest fall from a peak, and the longest time below a peak, which may be another fall."""
    falls = find_falls(values, start)
    if falls.deepest == 0.0:
        return {"max_drawdown": 0.0, "max_drawdown_bars": 0, "max_drawdown_seconds": 0.0}
    since = index[max(falls.first - 1, 0)]
    until = index[min(falls.last + 1, len(index) - 1)]
    return {
        "max_drawdown": falls.deepest,
        "max_drawdown_bars": falls.last - falls.first + 1,
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
