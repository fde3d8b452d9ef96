"""Which calendar the times of some bars follow."""

import numpy as np
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.sessions import (
    ALWAYS_OPEN,
    FOREX,
    NANOSECONDS_A_DAY,
    WEEKDAYS,
    Sessions,
    UnixNanoseconds,
    midnights,
    mondays,
    unix_nanoseconds,
)

EXCHANGES = ("XNYS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XTSE", "XASX", "XSHG", "XBOM")
"""Tried in this order where the bars have sessions of a day."""

_MUST_AGREE = 0.985
"""Share of days that bars and calendar must have in common to be told from plain weekdays (about 0.965)."""
_FEWEST_DAYS = 15
_SATURDAY = 5


def calendar_of(bars: pd.DataFrame) -> str:
    """Name of the calendar stored with `bars`, or the one that their times fit."""
    return str(bars.attrs.get("calendar") or infer_calendar(pd.DatetimeIndex(bars.index)))


def infer_calendar(index: pd.DatetimeIndex) -> str:
    """The calendar that the bars' times fit best: `24/7` with Saturdays, `fx` with Sunday evenings, an exchange
    where its holidays are kept, else `weekdays`."""
    opens = unix_nanoseconds(index)
    days = np.unique(midnights(opens))
    weekday = (days - mondays(days)) // NANOSECONDS_A_DAY
    if np.mean(weekday == _SATURDAY) > 0.05:
        return ALWAYS_OPEN
    intraday = bool((opens % NANOSECONDS_A_DAY != 0).any())
    if np.mean(weekday > _SATURDAY) > 0.05:
        return FOREX
    if len(days) < _FEWEST_DAYS or _is_weekly(days):
        return WEEKDAYS
    best = max(EXCHANGES, key=lambda name: _agreement(name, opens, intraday))
    return best if _agreement(best, opens, intraday) >= _MUST_AGREE else WEEKDAYS


def _is_weekly(days: UnixNanoseconds) -> bool:
    return float(np.median(np.diff(days))) >= 5 * NANOSECONDS_A_DAY


def _agreement(calendar: str, opens: UnixNanoseconds, intraday: bool) -> float:
    """Days that the bars and the calendar share, as a fraction of the days that either has."""
    try:
        sessions = Sessions.covering(calendar, int(opens[0]), int(opens[-1]))
    except MarketDataError:
        return 0.0
    present = np.unique(sessions.days[sessions.of_instants(opens)] if intraday else midnights(opens))
    expected = sessions.days[(sessions.days >= present[0]) & (sessions.days <= present[-1])]
    shared = np.isin(present, expected).sum()
    return float(shared / (len(present) + len(expected) - shared))
