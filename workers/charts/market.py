"""The chart of market data: candles, volume, sessions, gaps and suspicious bars."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workers.charts.decimals import exact_decimals, price_decimals
from workers.charts.levels import BarSeries, Series, levels
from workers.charts.tiles import Column, Floats, encode, fitting_scale
from workers.market_data.bars import PRICES
from workers.market_data.quality import Findings
from workers.market_data.sessions import unix_nanoseconds

LATEST = 50
"""Bars that a page shows without script."""
_SAMPLED = 5_000
"""Bars whose prices tell the decimals of an instrument."""
_SPIKE, _SPLIT = 1.0, 2.0


def market_chart(
    bars: pd.DataFrame, timeframe: str, calendar: str, findings: Findings, listed: Mapping[str, Any]
) -> bytes:
    """Return the file of the chart. `listed`: the findings with their times, for the lists beside it."""
    marks = {
        "missing": Series(np.concatenate(([0.0], findings.missing)), "sum", 0),
        "mark": Series(_marks(len(bars), findings), "highest", 0),
    }
    return chart_file(bars, timeframe, calendar, marks, {"listed": dict(listed)})


def chart_file(
    bars: pd.DataFrame,
    timeframe: str,
    calendar: str,
    extra: Mapping[str, Series],
    about: Mapping[str, Any],
) -> bytes:
    """Return the chart of `bars` with further series at them; `about`: further JSON values of its index."""
    decimals = decimals_of(bars)
    index = pd.DatetimeIndex(bars.index)
    series = {**_candles(bars, decimals), **extra}
    built = list(levels(BarSeries(index, timeframe, calendar, series)))
    columns = [
        *(Column(name, fitting_scale(drawn.values, drawn.decimals)) for name, drawn in series.items()),
        Column("session", 1.0),
    ]
    return encode(
        columns,
        built,
        {
            "rows": len(bars),
            "timeframe": timeframe,
            "calendar": calendar,
            "decimals": decimals,
            "has_volume": bool((bars["volume"] > 0.0).any()) if "volume" in bars else False,
            "latest": _latest(bars),
            "statistics": _statistics(bars),
            **about,
        },
    )


def decimals_of(bars: pd.DataFrame) -> int:
    """Return the decimals of an instrument's prices, by its bars."""
    sample = bars[list(PRICES)].iloc[:: max(1, len(bars) // _SAMPLED)]
    return price_decimals(sample.to_numpy(np.float64).ravel())


def _candles(bars: pd.DataFrame, decimals: int) -> dict[str, Series]:
    series = {
        "open": Series(_column(bars, "open"), "first", decimals),
        "high": Series(_column(bars, "high"), "highest", decimals),
        "low": Series(_column(bars, "low"), "lowest", decimals),
        "close": Series(_column(bars, "close"), "last", decimals),
    }
    if "volume" in bars:
        volume = _column(bars, "volume")
        series["volume"] = Series(volume, "sum", exact_decimals(volume) or 0)
    return series


def _column(bars: pd.DataFrame, name: str) -> Floats:
    return np.ascontiguousarray(bars[name].to_numpy(np.float64))


def _marks(n: int, findings: Findings) -> Floats:
    marks = np.zeros(n)
    marks[findings.spikes + 1] = _SPIKE
    marks[findings.splits + 1] = _SPLIT
    return marks


def _latest(bars: pd.DataFrame) -> list[list[Any]]:
    """Return the last bars as [time in seconds, open, high, low, close, volume]."""
    last = bars.tail(LATEST)
    seconds = (unix_nanoseconds(pd.DatetimeIndex(last.index)) // 1_000_000_000).tolist()
    names = [*PRICES, *(["volume"] if "volume" in bars else [])]
    return [
        [time, *row] for time, row in zip(seconds, last[names].to_numpy(np.float64).tolist(), strict=True)
    ]


def _statistics(bars: pd.DataFrame) -> dict[str, Any]:
    index = pd.DatetimeIndex(bars.index)
    high, low, close = (_column(bars, name) for name in ("high", "low", "close"))
    steps = np.abs(np.diff(np.log(close)))
    return {
        "highest": [float(high.max()), _seconds(index, int(high.argmax()))],
        "lowest": [float(low.min()), _seconds(index, int(low.argmin()))],
        "last_close": float(close[-1]),
        "change": float(close[-1] / close[0] - 1.0),
        "median_range": float(np.median((high - low) / close)),
        "median_step": float(np.median(steps)) if len(steps) else None,
        "median_volume": float(np.median(_column(bars, "volume"))) if "volume" in bars else None,
    }


def _seconds(index: pd.DatetimeIndex, row: int) -> int:
    return int(pd.Timestamp(index[row]).timestamp())
