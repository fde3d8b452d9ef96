"""Resample bars to a longer timeframe, session by session."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.bars import OPTIONAL_COLUMNS
from workers.market_data.errors import MarketDataError
from workers.market_data.sessions import FOREX, Sessions, UnixNanoseconds, unix_nanoseconds
from workers.market_data.timeframes import close_times, is_intraday, nanoseconds


def resample(
    bars: pd.DataFrame, timeframe: str, to: str, calendar: str
) -> tuple[pd.DataFrame, UnixNanoseconds]:
    """Return bars of the longer timeframe `to` and their closing times; int64[n] nanoseconds.

    Intraday buckets start at the opening of the session and end with it; days are sessions; weeks are the sessions
    from Monday to Sunday. A bar belongs to the bucket in which it closes, and a longer bar never closes before its
    last part. The last bar may be unfinished, which its closing time shows.
    Raises `MarketDataError` if `to` is not longer than `timeframe`.
    """
    buckets = PlacedBars.of(pd.DatetimeIndex(bars.index), timeframe, calendar).buckets(to)
    longer = _aggregate(bars, buckets.starts, buckets.ends)
    longer.index = pd.DatetimeIndex(buckets.times, name="time").tz_localize("UTC")
    nominal = close_times(pd.DatetimeIndex(longer.index), to, calendar)
    return longer, np.maximum(nominal, buckets.closes)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The bars that make up each longer bar."""

    starts: npt.NDArray[np.intp]
    """First row of each longer bar; intp[k]."""
    ends: npt.NDArray[np.intp]
    """Last row, inclusive; intp[k]."""
    times: UnixNanoseconds
    """Opening times of the longer bars; int64[k]."""
    closes: UnixNanoseconds
    """Closing times of their last rows; int64[k]."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBars:
    """Bars with the sessions in which they close, from which buckets of any longer timeframe are made."""

    timeframe: str
    opens: UnixNanoseconds
    closes: UnixNanoseconds
    sessions: Sessions
    session: npt.NDArray[np.intp]
    """The session of each bar; intp[n]."""

    @classmethod
    def of(cls, index: pd.DatetimeIndex, timeframe: str, calendar: str) -> Self:
        closes = close_times(index, timeframe, calendar)
        opens = unix_nanoseconds(index)
        sessions = Sessions.covering(calendar, int(opens[0]), int(closes[-1]))
        return cls(timeframe, opens, closes, sessions, sessions.of_instants(closes - 1))

    def buckets(self, to: str) -> Buckets:
        """Raises `MarketDataError` if `to` is not longer than the timeframe of the bars."""
        if nanoseconds(to) <= nanoseconds(self.timeframe):
            raise MarketDataError(f"{to} bars cannot be made from {self.timeframe} bars; import {to} bars")
        labels = self._labels(to)
        starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
        ends = np.append(starts[1:], len(labels)) - 1
        return Buckets(starts, ends, labels[starts], self.closes[ends])

    def _labels(self, to: str) -> UnixNanoseconds:
        """Return the opening time of the longer bar that each bar belongs to; int64[n]."""
        sessions, session = self.sessions, self.session
        if not is_intraday(self.timeframe):
            return sessions.mondays_of_bars(self.opens)
        if to == "1w":
            return sessions.mondays_of_bars(sessions.days)[session]
        if to == "1d":
            named_by_opening = sessions.is_exchange or sessions.calendar == FOREX
            return (sessions.opens if named_by_opening else sessions.days)[session]
        length = nanoseconds(to)
        start = sessions.opens[session]
        return start + (self.closes - 1 - start) // length * length


def _aggregate(bars: pd.DataFrame, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Aggregate the runs of rows from `starts` to `ends`, both inclusive."""
    columns = {
        "open": bars["open"].to_numpy()[starts],
        "high": np.maximum.reduceat(bars["high"].to_numpy(), starts),
        "low": np.minimum.reduceat(bars["low"].to_numpy(), starts),
        "close": bars["close"].to_numpy()[ends],
        "volume": np.add.reduceat(bars["volume"].to_numpy(), starts),
    }
    columns |= {name: bars[name].to_numpy()[ends] for name in OPTIONAL_COLUMNS if name in bars.columns}
    return pd.DataFrame(columns)
