"""Find the trading calendar that the times of bars follow."""

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
"""Tried in this order if the bars have daily sessions."""

_MUST_AGREE = 0.985
"""Minimum share of days that the bars and an exchange must have in common."""
_FEWEST_DAYS = 15
_EARLY = NANOSECONDS_A_DAY // 24
"""The first bar of a session may start up to an hour early (14:00 to 15:00 when New York opens at 14:30)."""
_SATURDAY = 5


def calendar_of(bars: pd.DataFrame) -> str:
    """Return the calendar stored with `bars`, or else the one that their times fit best."""
    return str(bars.attrs.get("calendar") or infer_calendar(pd.DatetimeIndex(bars.index)))


def infer_calendar(index: pd.DatetimeIndex) -> str:
    """Return the calendar that fits the bars best: `24/7` if there are Saturdays, `fx` if there are Sunday evenings, an
    exchange if the bars keep its holidays, else `weekdays`."""
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
    # On a tie the first wins. Dates alone do not identify an exchange; trading hours do.
    candidates = (*EXCHANGES, WEEKDAYS) if intraday else (WEEKDAYS, *EXCHANGES)
    agreement = {name: _agreement(name, opens, intraday) for name in candidates}
    best = max(candidates, key=lambda name: agreement[name])
    return best if agreement[best] >= _MUST_AGREE else WEEKDAYS


def _is_weekly(days: UnixNanoseconds) -> bool:
    return float(np.median(np.diff(days))) >= 5 * NANOSECONDS_A_DAY


def _agreement(calendar: str, opens: UnixNanoseconds, intraday: bool) -> float:
    """Return the days in both the bars and the calendar as a fraction of the days in either; for intraday bars,
    multiplied by the share of bars within trading hours."""
    try:
        sessions = Sessions.covering(calendar, int(opens[0]), int(opens[-1]))
    except MarketDataError:
        return 0.0
    session = sessions.of_instants(opens)
    inside = float(np.mean(opens >= sessions.opens[session] - _EARLY)) if intraday else 1.0
    present = np.unique(sessions.days[session] if intraday else midnights(opens))
    expected = sessions.days[(sessions.days >= present[0]) & (sessions.days <= present[-1])]
    shared = np.isin(present, expected).sum()
    return inside * float(shared / (len(present) + len(expected) - shared))
