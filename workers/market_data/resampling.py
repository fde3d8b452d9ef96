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
    buckets = Buckets.of(pd.DatetimeIndex(bars.index), timeframe, to, calendar)
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

    @classmethod
    def of(cls, index: pd.DatetimeIndex, timeframe: str, to: str, calendar: str) -> Self:
        """Raises `MarketDataError` if `to` is not longer than `timeframe`."""
        if nanoseconds(to) <= nanoseconds(timeframe):
            raise MarketDataError(f"{to} bars cannot be made from {timeframe} bars; import {to} bars")
        closes = close_times(index, timeframe, calendar)
        opens = unix_nanoseconds(index)
        sessions = Sessions.covering(calendar, int(opens[0]), int(closes[-1]))
        labels = _bucket_labels(opens, closes, is_intraday(timeframe), to, sessions)
        starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
        ends = np.append(starts[1:], len(index)) - 1
        return cls(starts, ends, labels[starts], closes[ends])


def _bucket_labels(
    opens: UnixNanoseconds, closes: UnixNanoseconds, intraday: bool, to: str, sessions: Sessions
) -> UnixNanoseconds:
    """Return the opening time of the longer bar that each bar belongs to."""
    if not intraday:
        return sessions.mondays_of_bars(opens)
    inside = closes - 1
    session = sessions.of_instants(inside)
    if to == "1w":
        return sessions.mondays_of_bars(sessions.days[session])
    if to == "1d":
        return (
            sessions.opens[session]
            if sessions.is_exchange or sessions.calendar == FOREX
            else sessions.days[session]
        )
    length = nanoseconds(to)
    start = sessions.opens[session]
    return start + (inside - start) // length * length


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
