"""The levels of a chart: the bars of its own timeframe and of longer ones, with what is drawn at them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.charts.tiles import Floats, Level
from workers.market_data.resampling import Buckets, PlacedBars
from workers.market_data.sessions import Sessions, unix_nanoseconds
from workers.market_data.timeframes import is_intraday, nanoseconds

TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d", "1w")
"""Resolutions beside that of the bars themselves."""
_FEWEST_BARS = 300
"""A level with fewer bars is seen at once, so none follows it."""
_OUTSIDE = 2.0

Combine = Literal["first", "last", "highest", "lowest", "sum"]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Series:
    """Values at each bar, and how those of several bars become one."""

    values: Floats
    """float64[n]; NaN for missing values."""
    combine: Combine
    decimals: int = 4
    """With which the file stores them."""


@dataclass(frozen=True, slots=True)
class BarSeries:
    """Everything that is drawn at the bars of one timeframe."""

    index: pd.DatetimeIndex
    timeframe: str
    calendar: str
    series: Mapping[str, Series] = field(default_factory=dict)


def levels(bars: BarSeries) -> Iterator[Level]:
    """Return the level of the bars themselves and the longer ones, finest first."""
    times = unix_nanoseconds(bars.index)
    values = {name: series.values for name, series in bars.series.items()}
    own = nanoseconds(bars.timeframe)
    yield Level(bars.timeframe, times, {**values, "session": sessions_of(bars.index, bars)})
    rows = len(times)
    placed = PlacedBars.of(bars.index, bars.timeframe, bars.calendar)
    for timeframe in TIMEFRAMES:
        if nanoseconds(timeframe) <= own or rows < _FEWEST_BARS:
            continue
        buckets = placed.buckets(timeframe)
        rows = len(buckets.starts)
        index = pd.DatetimeIndex(buckets.times).tz_localize("UTC")
        combined = {name: _combine(series, buckets) for name, series in bars.series.items()}
        session = sessions_of(index, BarSeries(index, timeframe, bars.calendar))
        yield Level(timeframe, buckets.times, {**combined, "session": session})


def sessions_of(index: pd.DatetimeIndex, bars: BarSeries) -> Floats:
    """Return by what bars are shaded: 0 and 1 in alternation, 2 outside of sessions; float64[n].

    It alternates by session for intraday bars, by month for days and by year for weeks.
    """
    if not is_intraday(bars.timeframe):
        return np.asarray((index.month if bars.timeframe == "1d" else index.year) % 2, dtype=np.float64)
    opens = unix_nanoseconds(index)
    sessions = Sessions.covering(bars.calendar, int(opens[0]), int(opens[-1]))
    session = sessions.of_instants(opens)
    is_outside = (opens < sessions.opens[session]) & sessions.has_pause_after[np.maximum(session - 1, 0)]
    return np.where(is_outside, _OUTSIDE, session % 2)


def _combine(series: Series, buckets: Buckets) -> Floats:
    values, starts = series.values, buckets.starts
    match series.combine:
        case "first":
            return values[starts]
        case "last":
            return values[buckets.ends]
        case "highest":
            return np.fmax.reduceat(values, starts)
        case "lowest":
            return np.fmin.reduceat(values, starts)
        case "sum":
            return np.add.reduceat(values, starts)
