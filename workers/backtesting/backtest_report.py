"""Build `report.json` of a backtest: series of at most 5,000 points for the charts, and tables of the trades."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.downsample import pick_points
from workers.backtesting.engine import Result
from workers.backtesting.periods import Periods
from workers.backtesting.relation import relate
from workers.backtesting.return_tables import distribution, extremes, yearly_returns
from workers.backtesting.rolling import rolling_figures, rolling_window
from workers.report_parts import build_parts

Floats = NDArray[np.float64]
MAX_TRADES = 5000
WORST_DRAWDOWNS = 10
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def build_report(
    result: Result, benchmark: Result, close: Floats, periods: Periods, others: Mapping[str, Floats]
) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Return the report, JSON values only (NaN becomes null), and the errors of the parts that it lacks.

    `close`: float64[n]; `periods`: those of the metrics; `others`: returns per period of other series, float64[k] by name.
    """
    index, trades, initial_capital = result.index, result.trades, result.rules.initial_capital
    peaks = np.maximum(np.maximum.accumulate(result.equity), initial_capital)
    drawdown = result.equity / peaks - 1.0
    returns, held = (periods.returns(run.equity, initial_capital) for run in (result, benchmark))
    return build_parts(
        {
            "the series": lambda: _series(result, benchmark, close, drawdown, periods),
            "the trades": lambda: {
                "trades": [_json_row(row) for row in trades.head(MAX_TRADES).to_dict("records")],
                "trades_in_all": len(trades),
            },
            "the monthly returns": lambda: {
                "monthly_returns": monthly_returns(result.equity, initial_capital, periods, index)
            },
            "the yearly returns": lambda: {
                "yearly_returns": yearly_returns(
                    result.equity, benchmark.equity, initial_capital, periods, index
                )
            },
            "the distribution of returns": lambda: {"distribution": distribution(returns, periods.unit)},
            "the best and worst periods": lambda: {"extremes": extremes(returns, held, periods, index)},
            "the relation to other series": lambda: {
                "relations": [
                    {"name": name, **relate(returns, other, periods.per_year)}
                    for name, other in {"buy and hold": held, **others}.items()
                ]
            },
            "the drawdowns": lambda: {"drawdowns": drawdowns(drawdown, index)},
            "the trades by group": lambda: {
                "by_exit_reason": _trade_groups(trades, trades["exit_reason"]),
                "by_side": _trade_groups(trades, trades["side"].map({1: "long", -1: "short"})),
                "by_weekday": _weekday_groups(trades),
                "by_hour": _trade_groups(trades, trades["entry_time"].dt.strftime("%H:00")),
            },
        }
    )


def _series(
    result: Result, benchmark: Result, close: Floats, drawdown: Floats, periods: Periods
) -> dict[str, Any]:
    picked = pick_points(result.equity)
    rolling = rolling_figures(result.equity, benchmark.equity, result.rules.initial_capital, periods)
    return {
        "series": {
            "time": [time.isoformat() for time in result.index[picked]],
            "close": _numbers(close[picked]),
            "equity": _numbers(result.equity[picked]),
            "benchmark": _numbers(benchmark.equity[picked]),
            "drawdown": _numbers(drawdown[picked]),
            **{name: _numbers(values[picked]) for name, values in rolling.items()},
            "position": _numbers(result.position[picked]),
        },
        "rolling": {"observations": rolling_window(periods), "unit": periods.unit},
        "points": {"of": len(result.index), "shown": len(picked)},
    }


def _numbers(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _json_row(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> Any:
    if value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def monthly_returns(
    equity: Floats, initial_capital: float, periods: Periods, index: pd.DatetimeIndex
) -> list[dict[str, Any]]:
    """Return one row per month, with its return on the last equity of the previous month.

    A period belongs to the month (UTC) in which its last bar opens, so a session is never divided.
    """
    times = index[periods.ends]
    month = times.year * 12 + times.month - 1
    last = np.append(month[1:] != month[:-1], True)
    ends = equity[periods.ends][last]
    starts = np.concatenate(([initial_capital], ends[:-1]))
    return [
        {
            "year": int(m // 12),
            "month": int(m % 12 + 1),
            "return": _json_value(end / start - 1.0 if start > 0 else math.nan),
        }
        for m, start, end in zip(np.asarray(month)[last], starts.tolist(), ends.tolist(), strict=True)
    ]


def drawdowns(drawdown: Floats, index: pd.DatetimeIndex) -> list[dict[str, Any]]:
    """Return the deepest periods below the peak: start, trough, recovery (null if not yet), depth and length."""
    below = drawdown < 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    periods = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    periods.sort(key=lambda period: float(drawdown[period[0] : period[1]].min()))
    rows = []
    for start, end in periods[:WORST_DRAWDOWNS]:
        trough = start + int(drawdown[start:end].argmin())
        recovered_at = index[end] if end < len(index) else None
        peak_at = index[max(start - 1, 0)]
        rows.append(
            {
                "start": peak_at.isoformat(),
                "trough": index[trough].isoformat(),
                "end": recovered_at.isoformat() if recovered_at is not None else None,
                "depth": float(drawdown[trough]),
                "bars": end - start,
                "days": round(((recovered_at or index[-1]) - peak_at).total_seconds() / 86400, 2),
            }
        )
    return rows


def _trade_groups(trades: pd.DataFrame, key: "pd.Series[Any]") -> list[dict[str, Any]]:
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


def _weekday_groups(trades: pd.DataFrame) -> list[dict[str, Any]]:
    rows = _trade_groups(trades, trades["entry_time"].dt.day_of_week)
    return [{**row, "key": WEEKDAYS[int(row["key"])]} for row in rows]
