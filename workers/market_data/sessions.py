"""Trading sessions: the opening hours of a market, day by day.

A calendar is `24/7`, `fx` (Sunday 17:00 to Friday 17:00 in New York, where each day ends at 17:00), `weekdays`
(Monday to Friday by UTC days), or the MIC of an exchange that `exchange_calendars` supports (`XNYS`).
"""

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.exchanges import NANOSECONDS_A_DAY as NANOSECONDS_A_DAY
from workers.market_data.exchanges import UnixNanoseconds as UnixNanoseconds
from workers.market_data.exchanges import find_exchange
from workers.strategy.quoting import quote

_Table = tuple[UnixNanoseconds, UnixNanoseconds, UnixNanoseconds]
"""Openings, closings and dates of sessions."""

_THURSDAY = 3
"""Weekday (Monday 0) of 1970-01-01."""
_MARGIN_DAYS = 21

ALWAYS_OPEN = "24/7"
FOREX = "fx"
WEEKDAYS = "weekdays"
GENERIC_CALENDARS = (ALWAYS_OPEN, FOREX, WEEKDAYS)


def unix_nanoseconds(index: pd.DatetimeIndex) -> UnixNanoseconds:
    """Return the instants of a UTC index as int64[n]."""
    return index.values.astype("datetime64[ns]").view(np.int64)


def midnights(instants: UnixNanoseconds) -> UnixNanoseconds:
    """Return midnight UTC at or before each instant."""
    return instants - instants % NANOSECONDS_A_DAY


def mondays(days: UnixNanoseconds) -> UnixNanoseconds:
    """Return midnight UTC on Monday of the week of each day."""
    weekday = (days // NANOSECONDS_A_DAY + _THURSDAY) % 7
    return midnights(days) - weekday * NANOSECONDS_A_DAY


def count_up_to(instants: UnixNanoseconds, edges: UnixNanoseconds) -> npt.NDArray[np.intp]:
    """Return how many of the ordered `edges` are at or before each instant; intp[n]."""
    if len(instants) <= len(edges) or (instants[1:] < instants[:-1]).any():
        return np.searchsorted(edges, instants, side="right")
    # Instants in order, as those of all bars, lie between the edges in runs: a fifth of the time of a search for each.
    run_ends = np.append(np.searchsorted(instants, edges), len(instants))
    return np.repeat(np.arange(len(run_ends)), np.diff(run_ends, prepend=0))


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Sessions in order: opening and closing times in int64[k] nanoseconds, and `days`, the date of each session."""

    calendar: str
    opens: UnixNanoseconds
    closes: UnixNanoseconds
    days: UnixNanoseconds

    @classmethod
    def covering(cls, calendar: str, first: int, last: int) -> Self:
        """Return the sessions from at least three weeks before `first` to at least three weeks after `last`.

        Raises `MarketDataError` for an unknown calendar or one that does not cover these dates.
        """
        margin = pd.Timedelta(days=_MARGIN_DAYS)
        opens, closes, days = _table(calendar, pd.Timestamp(first) - margin, pd.Timestamp(last) + margin)
        return cls(calendar, opens, closes, days)

    @property
    def is_exchange(self) -> bool:
        return self.calendar not in GENERIC_CALENDARS

    @property
    def has_pause_after(self) -> npt.NDArray[np.bool_]:
        """Whether the market is closed between a session and the next one; bool[k]."""
        return np.append(self.opens[1:] > self.closes[:-1], True)

    def of_instants(self, instants: UnixNanoseconds) -> npt.NDArray[np.intp]:
        """Return the index of the session that contains each instant, or else of the next session; intp[n]."""
        return count_up_to(instants, self.closes)

    def of_daily_bars(self, opens: UnixNanoseconds) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the session of each daily bar and whether the calendar has a session on that date; intp[n], bool[n].

        The time of a daily bar is midnight of its date or the opening of its session.
        """
        by_date = np.minimum(np.searchsorted(self.days, opens), len(self.days) - 1)
        dated = opens % NANOSECONDS_A_DAY == 0
        session = np.where(dated, by_date, self.of_instants(opens))
        return session, ~dated | (self.days[session] == opens)

    def mondays_of_bars(self, opens: UnixNanoseconds) -> UnixNanoseconds:
        """Return the Monday of the week of each daily or longer bar, by the date of its session; int64[n].

        A date without a session counts as the next session: a Sunday bar belongs to the week that starts.
        """
        return mondays(self.days[self.of_daily_bars(opens)[0]])


_tables: dict[str, tuple[int, int, _Table]] = {}
"""The first and last year, and the sessions, that this process has built of each calendar. Building an exchange's
table takes 0.2 s, and frames that are cut at hundreds of bars share one."""


def _table(calendar: str, start: pd.Timestamp, end: pd.Timestamp) -> _Table:
    """Return the sessions of whole years that include `start` and `end`."""
    first, last = start.year, end.year
    known = _tables.get(calendar)
    if known is not None:
        if known[0] <= first and last <= known[1]:
            return known[2]
        first, last = min(first, known[0]), max(last, known[1])
    table = _build_table(
        calendar,
        pd.Timestamp(year=first, month=1, day=1).value,
        pd.Timestamp(year=last + 1, month=1, day=1).value,
    )
    _tables[calendar] = first, last, table
    return table


def _build_table(calendar: str, start: int, end: int) -> _Table:
    if calendar == ALWAYS_OPEN:
        days = np.arange(start, end, NANOSECONDS_A_DAY, dtype=np.int64)
        return days, days + NANOSECONDS_A_DAY, days
    if calendar in (WEEKDAYS, FOREX):
        return _weekday_table(calendar, start, end)
    return _stored_table(calendar, start, end) or _exchange_table(calendar, start, end)


def _weekday_table(calendar: str, start: int, end: int) -> _Table:
    days = np.arange(start, end, NANOSECONDS_A_DAY, dtype=np.int64)
    days = days[days - mondays(days) < 5 * NANOSECONDS_A_DAY]
    if calendar == WEEKDAYS:
        return days, days + NANOSECONDS_A_DAY, days
    five_pm = pd.Timedelta(hours=17)
    dates = pd.DatetimeIndex(days)
    closes = (dates + five_pm).tz_localize("America/New_York").tz_convert("UTC")
    opens = (dates - pd.Timedelta(days=1) + five_pm).tz_localize("America/New_York").tz_convert("UTC")
    return unix_nanoseconds(opens), unix_nanoseconds(closes), days


def _stored_table(calendar: str, start: int, end: int) -> _Table | None:
    """Return the sessions from the table of all exchanges; None if it does not cover the period."""
    exchange = find_exchange(calendar)
    if exchange is None or not exchange.covers(start, end):
        return None
    stored = exchange.between(start, end)
    return stored.opens, stored.closes, stored.days


def _exchange_table(calendar: str, start: int, end: int) -> _Table:
    import exchange_calendars  # takes 0.3 s, and the stored table covers nearly all data

    try:
        # exchange_calendars 4.13 uses Series.values in a way that pandas 3.1 deprecates.
        with warnings.catch_warnings(action="ignore", category=pd.errors.Pandas4Warning):
            schedule = exchange_calendars.get_calendar(
                calendar, start=pd.Timestamp(start), end=pd.Timestamp(end)
            ).schedule
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise MarketDataError(f"unknown calendar {quote(calendar)}") from error
    except ValueError as error:
        raise MarketDataError(
            f"the calendar {calendar} does not cover {pd.Timestamp(start):%Y-%m-%d} to {pd.Timestamp(end):%Y-%m-%d}"
        ) from error
    return (
        unix_nanoseconds(pd.DatetimeIndex(schedule["open"])),
        unix_nanoseconds(pd.DatetimeIndex(schedule["close"])),
        unix_nanoseconds(pd.DatetimeIndex(schedule.index)),
    )
