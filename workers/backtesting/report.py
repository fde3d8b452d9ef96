"""`report.json`: what a page draws of a backtest, at most 5,000 points a series, and tables of its trades."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.downsample import keep
from workers.backtesting.engine import Result
from workers.backtesting.metrics import daily_returns

Floats = NDArray[np.float64]
MOST_TRADES = 5000
WORST_DRAWDOWNS = 10
ROLLING_DAYS = 63
"""A quarter of a year of trading days."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def build(result: Result, benchmark: Result, close: Floats, capital: float) -> dict[str, Any]:
    """`close`: float64[n]. JSON values only; NaN is null."""
    index = result.index
    peaks = np.maximum(np.maximum.accumulate(result.equity), capital)
    under = result.equity / peaks - 1.0
    shown = keep(result.equity)
    return {
        "series": {
            "time": [time.isoformat() for time in index[shown]],
            "close": _numbers(close[shown]),
            "equity": _numbers(result.equity[shown]),
            "benchmark": _numbers(benchmark.equity[shown]),
            "drawdown": _numbers(under[shown]),
            "rolling_sharpe": _numbers(rolling_sharpe(result.equity, capital, index)[shown]),
            "position": _numbers(result.position[shown]),
        },
        "points": {"of": len(index), "shown": len(shown)},
        "trades": [_plain(row) for row in result.trades.head(MOST_TRADES).to_dict("records")],
        "trades_in_all": len(result.trades),
        "monthly_returns": monthly_returns(result.equity, capital, index),
        "drawdowns": drawdowns(under, index),
        "by_exit_reason": _grouped(result.trades, result.trades["exit_reason"]),
        "by_side": _grouped(result.trades, result.trades["side"].map({1: "long", -1: "short"})),
        "by_weekday": _by_weekday(result.trades),
        "by_hour": _grouped(result.trades, result.trades["entry_time"].dt.strftime("%H:00")),
    }


def _numbers(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def rolling_sharpe(equity: Floats, capital: float, index: pd.DatetimeIndex) -> Floats:
    """float64[n]: annual Sharpe ratio of the last 63 days at each bar; NaN before there are so many."""
    returns, a_year = daily_returns(equity, capital, index)
    window = pd.Series(returns).rolling(ROLLING_DAYS)
    daily = (window.mean() / window.std(ddof=1).where(lambda s: s > 1e-12) * math.sqrt(a_year)).to_numpy()
    day = index.normalize()
    # The figure of a day is known at its last bar; the bars before show the day's before.
    number = np.cumsum(np.concatenate(([0], (day[1:] != day[:-1]).astype(int))))
    last = np.append(day[1:] != day[:-1], True)
    at = np.where(last, number, number - 1)
    return np.where(at >= 0, daily[np.maximum(at, 0)], np.nan)


def monthly_returns(equity: Floats, capital: float, index: pd.DatetimeIndex) -> list[dict[str, Any]]:
    """Return of each UTC month against the last equity of the month before."""
    month = index.year * 12 + index.month - 1
    last = np.append(month[1:] != month[:-1], True)
    ends = equity[last]
    begins = np.concatenate(([capital], ends[:-1]))
    return [
        {
            "year": int(m // 12),
            "month": int(m % 12 + 1),
            "return": _value(end / begin - 1.0 if begin > 0 else math.nan),
        }
        for m, begin, end in zip(np.asarray(month)[last], begins.tolist(), ends.tolist(), strict=True)
    ]


def drawdowns(under: Floats, index: pd.DatetimeIndex) -> list[dict[str, Any]]:
    """The deepest spells below the peak: when each began, was deepest and was over (null: not yet)."""
    below = under < 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    spells = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    spells.sort(key=lambda spell: float(under[spell[0] : spell[1]].min()))
    rows = []
    for begin, end in spells[:WORST_DRAWDOWNS]:
        trough = begin + int(under[begin:end].argmin())
        until = index[end] if end < len(index) else None
        since = index[max(begin - 1, 0)]
        rows.append(
            {
                "start": since.isoformat(),
                "trough": index[trough].isoformat(),
                "end": until.isoformat() if until is not None else None,
                "depth": float(under[trough]),
                "bars": end - begin,
                "days": round(((until or index[-1]) - since).total_seconds() / 86400, 2),
            }
        )
    return rows


def _grouped(trades: pd.DataFrame, key: "pd.Series[Any]") -> list[dict[str, Any]]:
    closed = trades["exit_index"] >= 0
    if not closed.any():
        return []
    groups = trades[closed].groupby(key[closed], sort=True)
    return [
        {
            "key": str(name),
            "trades": len(group),
            "win_rate": float((group["pnl"] > 0).mean()),
            "pnl": float(group["pnl"].sum()),
            "average_return": float(group["return"].mean()),
        }
        for name, group in groups
    ]


def _by_weekday(trades: pd.DataFrame) -> list[dict[str, Any]]:
    rows = _grouped(trades, trades["entry_time"].dt.day_of_week)
    return [{**row, "key": WEEKDAYS[int(row["key"])]} for row in rows]
