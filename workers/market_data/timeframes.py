"""Timeframes: their lengths, and when a bar that opened at some time has closed."""

from datetime import timedelta

import numpy as np
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.sessions import NANOSECONDS_A_DAY, Sessions, UnixNanoseconds, unix_nanoseconds
from workers.strategy.catalog import TIMEFRAMES

_SECOND = 1_000_000_000


def parse_timeframe(name: str) -> timedelta:
    """Nominal length of `name` (`5m`, `1h`, `1d`, `1w` ...). Raises `MarketDataError` for another name."""
    if name not in TIMEFRAMES:
        raise MarketDataError(f"{name!r} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return timedelta(seconds=TIMEFRAMES[name])


def nanoseconds(timeframe: str) -> int:
    return round(parse_timeframe(timeframe).total_seconds()) * _SECOND


def is_intraday(timeframe: str) -> bool:
    return nanoseconds(timeframe) < NANOSECONDS_A_DAY


def close_times(index: pd.DatetimeIndex, timeframe: str, calendar: str) -> UnixNanoseconds:
    """When each bar has closed, in nanoseconds since 1970; int64[n].

    An intraday bar ends with its length or, if that is earlier, with the session. A daily bar of an exchange ends
    with its session, elsewhere 24 hours after it opened. A weekly bar ends with the last session of its week
    (Monday to Sunday). Never earlier than the bar's last trade, so that nothing is seen before it happened.
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
    session, held = sessions.of_daily_bars(opens)
    return np.where(held, sessions.closes[session], opens + NANOSECONDS_A_DAY)


def week_closes(mondays: UnixNanoseconds, sessions: Sessions) -> UnixNanoseconds:
    """Close of the last session of each week, given the weeks' Mondays at midnight UTC."""
    end = mondays + 7 * NANOSECONDS_A_DAY
    last = np.searchsorted(sessions.days, end, side="left") - 1
    held = (last >= 0) & (sessions.days[np.maximum(last, 0)] >= mondays)
    return np.where(held, sessions.closes[np.maximum(last, 0)], end)
