"""Trading sessions: when a market is open, day by day.

A calendar is named `24/7`, `fx` (Sunday 17:00 to Friday 17:00 New York, a day ends at 17:00 there), `weekdays`
(Monday to Friday by UTC days), or by an exchange's MIC as `exchange_calendars` knows it (`XNYS`).
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import exchange_calendars
import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.errors import MarketDataError

UnixNanoseconds = npt.NDArray[np.int64]

NANOSECONDS_A_DAY = 86_400_000_000_000
_THURSDAY = 3
"""Weekday (Monday 0) of 1970-01-01."""
_MARGIN_DAYS = 21

ALWAYS_OPEN = "24/7"
FOREX = "fx"
WEEKDAYS = "weekdays"
GENERIC_CALENDARS = (ALWAYS_OPEN, FOREX, WEEKDAYS)


def unix_nanoseconds(index: pd.DatetimeIndex) -> UnixNanoseconds:
    """Instants of a UTC index as int64[n]."""
    return np.asarray(index.as_unit("ns").astype("int64"), dtype=np.int64)


def midnights(instants: UnixNanoseconds) -> UnixNanoseconds:
    """Midnight UTC at or before each instant."""
    return instants - instants % NANOSECONDS_A_DAY


def mondays(days: UnixNanoseconds) -> UnixNanoseconds:
    """Monday, midnight UTC, of the week of each day."""
    weekday = (days // NANOSECONDS_A_DAY + _THURSDAY) % 7
    return midnights(days) - weekday * NANOSECONDS_A_DAY


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Sessions in order: int64[k] nanoseconds of opens and closes, and `days`, the date each is called by."""

    calendar: str
    opens: UnixNanoseconds
    closes: UnixNanoseconds
    days: UnixNanoseconds

    @classmethod
    def covering(cls, calendar: str, first: int, last: int) -> Self:
        """Sessions around the instants `first` to `last` with three weeks of margin on both sides.

        Raises `MarketDataError` for a calendar that is not known or does not reach back that far.
        """
        start = (first // NANOSECONDS_A_DAY - _MARGIN_DAYS) * NANOSECONDS_A_DAY
        # To the year's end: tables of an exchange take 0.2 s to make, and frames cut off at many bars share one.
        margin_ends = pd.Timestamp(last) + pd.Timedelta(days=_MARGIN_DAYS)
        end = pd.Timestamp(year=margin_ends.year + 1, month=1, day=1).value
        opens, closes, days = _table(calendar, start, end)
        return cls(calendar, opens, closes, days)

    @property
    def is_exchange(self) -> bool:
        return self.calendar not in GENERIC_CALENDARS

    @property
    def has_pause_after(self) -> npt.NDArray[np.bool_]:
        """Whether nothing trades between a session's close and the next one's open; bool[k]."""
        return np.append(self.opens[1:] > self.closes[:-1], True)

    def of_instants(self, instants: UnixNanoseconds) -> npt.NDArray[np.intp]:
        """Index of the session that each instant lies in or, outside all of them, of the next; intp[n]."""
        return np.searchsorted(self.closes, instants, side="right")

    def of_daily_bars(self, opens: UnixNanoseconds) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Session of each daily bar, stamped with its date at midnight or with its session's opening, and whether
        the calendar has a session at that date at all; intp[n], bool[n]."""
        by_date = np.minimum(np.searchsorted(self.days, opens), len(self.days) - 1)
        dated = opens % NANOSECONDS_A_DAY == 0
        session = np.where(dated, by_date, self.of_instants(opens))
        return session, ~dated | (self.days[session] == opens)

    def mondays_of_bars(self, opens: UnixNanoseconds) -> UnixNanoseconds:
        """Monday of the week that each daily or longer bar belongs to, by its session's date; int64[n].

        A date without a session counts for the next one: a bar of Sunday belongs to the week that begins.
        """
        return mondays(self.days[self.of_daily_bars(opens)[0]])


@lru_cache(maxsize=64)
def _table(calendar: str, start: int, end: int) -> tuple[UnixNanoseconds, UnixNanoseconds, UnixNanoseconds]:
    if calendar == ALWAYS_OPEN:
        days = np.arange(start, end, NANOSECONDS_A_DAY, dtype=np.int64)
        return days, days + NANOSECONDS_A_DAY, days
    if calendar in (WEEKDAYS, FOREX):
        return _weekday_table(calendar, start, end)
    return _exchange_table(calendar, start, end)


def _weekday_table(
    calendar: str, start: int, end: int
) -> tuple[UnixNanoseconds, UnixNanoseconds, UnixNanoseconds]:
    days = np.arange(start, end, NANOSECONDS_A_DAY, dtype=np.int64)
    days = days[days - mondays(days) < 5 * NANOSECONDS_A_DAY]
    if calendar == WEEKDAYS:
        return days, days + NANOSECONDS_A_DAY, days
    five_pm = pd.Timedelta(hours=17)
    dates = pd.DatetimeIndex(days)
    closes = (dates + five_pm).tz_localize("America/New_York").tz_convert("UTC")
    opens = (dates - pd.Timedelta(days=1) + five_pm).tz_localize("America/New_York").tz_convert("UTC")
    return unix_nanoseconds(opens), unix_nanoseconds(closes), days


def _exchange_table(
    calendar: str, start: int, end: int
) -> tuple[UnixNanoseconds, UnixNanoseconds, UnixNanoseconds]:
    try:
        # exchange_calendars 4.13 reads Series.values in a way that pandas 3.1 announces to change.
        with warnings.catch_warnings(action="ignore", category=pd.errors.Pandas4Warning):
            schedule = exchange_calendars.get_calendar(
                calendar, start=pd.Timestamp(start), end=pd.Timestamp(end)
            ).schedule
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise MarketDataError(f"no calendar is called {calendar!r}") from error
    except ValueError as error:
        raise MarketDataError(
            f"the calendar {calendar} does not reach from {pd.Timestamp(start):%Y-%m-%d} to {pd.Timestamp(end):%Y-%m-%d}"
        ) from error
    return (
        unix_nanoseconds(pd.DatetimeIndex(schedule["open"])),
        unix_nanoseconds(pd.DatetimeIndex(schedule["close"])),
        unix_nanoseconds(pd.DatetimeIndex(schedule.index)),
    )
