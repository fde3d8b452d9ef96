"""Timeframes: their lengths and the closing times of their bars."""

from datetime import timedelta

import numpy as np
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.sessions import NANOSECONDS_A_DAY, Sessions, UnixNanoseconds, unix_nanoseconds
from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.quoting import quote

_SECOND = 1_000_000_000


def parse_timeframe(name: str) -> timedelta:
    """Return the nominal length of `name` (`5m`, `1h`, `1d`, `1w` ...). Raises `MarketDataError` if unknown."""
    if name not in TIMEFRAMES:
        raise MarketDataError(f"{quote(name)} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return timedelta(seconds=TIMEFRAMES[name])


def nanoseconds(timeframe: str) -> int:
    return round(parse_timeframe(timeframe).total_seconds()) * _SECOND


def is_intraday(timeframe: str) -> bool:
    return nanoseconds(timeframe) < NANOSECONDS_A_DAY


def close_times(index: pd.DatetimeIndex, timeframe: str, calendar: str) -> UnixNanoseconds:
    """Return the closing time of each bar, in nanoseconds since 1970; int64[n].

    An intraday bar closes after its length, or at the end of the session if that is earlier. A daily bar of an
    exchange closes with its session, any other daily bar 24 hours after it opens. A weekly bar closes with the last
    session of its week (Monday to Sunday). A bar never closes before its last trade, so no value is used early.
    """
    opens = unix_nanoseconds(index)
    if not len(opens):
        return opens
    sessions = Sessions.covering(calendar, int(opens[0]), int(opens[-1]))
    length = nanoseconds(timeframe)
    if length < NANOSECONDS_A_DAY:
        return _intraday_closes(opens, length, sessions)
    if timeframe == "1d":
        return _daily_closes(opens, sessions)
    return week_closes(sessions.mondays_of_bars(opens), sessions)


def _intraday_closes(opens: UnixNanoseconds, length: int, sessions: Sessions) -> UnixNanoseconds:
    session = sessions.of_instants(opens)
    cut = (sessions.opens[session] <= opens) & sessions.has_pause_after[session]
    return np.where(cut, np.minimum(opens + length, sessions.closes[session]), opens + length)


def _daily_closes(opens: UnixNanoseconds, sessions: Sessions) -> UnixNanoseconds:
    if not sessions.is_exchange:
        return opens + NANOSECONDS_A_DAY
    session, has_session = sessions.of_daily_bars(opens)
    return np.where(has_session, sessions.closes[session], opens + NANOSECONDS_A_DAY)


def week_closes(mondays: UnixNanoseconds, sessions: Sessions) -> UnixNanoseconds:
    """Return the close of the last session of each week; `mondays` are at midnight UTC."""
    end = mondays + 7 * NANOSECONDS_A_DAY
    last = np.searchsorted(sessions.days, end, side="left") - 1
    has_session = (last >= 0) & (sessions.days[np.maximum(last, 0)] >= mondays)
    return np.where(has_session, sessions.closes[np.maximum(last, 0)], end)
