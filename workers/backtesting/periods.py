"""The periods whose returns are the observations of every annual figure.

Bars of a day or less form one observation per session of the data's calendar; longer bars are one observation each.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.session_guess import guess_trading_day
from workers.market_data.session_counts import SESSIONS_PER_YEAR
from workers.market_data.sessions import (
    ALWAYS_OPEN,
    FOREX,
    WEEKDAYS,
    Sessions,
    UnixNanoseconds,
    unix_nanoseconds,
)

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]

SECONDS_PER_YEAR = 365.25 * 86400
WEEKS_PER_YEAR = 365.25 / 7
DAYS_PER_MONTH = 365.25 / 12
EXCHANGE_DAYS_PER_YEAR = 252.0
"""Assumed for a year or less of data whose calendar is unknown."""
_DAILY = 0.8
"""Bars of at least this many days are daily: in the night that clocks go forward, one has 23 hours."""
_LONGER = 1.5
"""Bars of at least this many days are longer than a session."""
_STEPS_READ = 1001
_MONTH_NAMES = {1: "monthly", 3: "quarterly", 12: "yearly"}


@dataclass(frozen=True, slots=True)
class Periods:
    ends: Positions
    """The last bar of each period; intp[k]."""
    per_year: float
    unit: str
    """`daily`, `weekly`, `monthly` ..."""
    source: str = ""
    """Origin of `per_year` if `unit` does not imply it."""

    def returns(self, equity: Floats, initial_capital: float | None = None) -> Floats:
        """Return the returns of the periods, 0 after a loss of everything; float64[k].

        `equity`: float64[n]. Without the initial capital the first period has no return, and the result is
        float64[k - 1].
        """
        marks = equity[self.ends]
        if initial_capital is not None:
            marks = np.concatenate(([initial_capital], marks))
        return growth_rates(marks)

    def basis(self, count: int) -> str:
        """Describe figures of `count` returns, like `483 weekly observations, 52.18 a year`."""
        number = f"{self.per_year:.2f}".rstrip("0").rstrip(".")
        source = f" ({self.source})" if self.source else ""
        return f"{count} {self.unit} observation{'' if count == 1 else 's'}, {number} a year{source}"


def growth_rates(marks: Floats) -> Floats:
    """Return the return from each mark to the next, 0 from a mark that is not positive; float64[n - 1]."""
    before = marks[:-1]
    alive = before > 0
    if alive.all():
        return np.asarray(marks[1:] / before - 1.0)
    return np.where(alive, marks[1:] / np.where(alive, before, 1.0) - 1.0, 0.0)


def periods_of(index: pd.DatetimeIndex, calendar: str | None = None) -> Periods:
    """Divide bars with these opening times into periods.

    Times without a zone are UTC. `calendar`: as `market_data.calendar_of` returns it; None or `weekdays` if it is
    unknown. Raises MarketDataError for a calendar that does not exist or does not cover the bars.
    """
    index = index if index.tz is None else index.tz_convert("UTC")
    days = bar_days(index)
    if days >= _LONGER:
        return _periods_of_long_bars(index, days)
    is_daily = days >= _DAILY
    separating_hour = 0
    if calendar in (None, WEEKDAYS):
        calendar, separating_hour = guess_trading_day(index, is_daily=is_daily)
    if calendar is None:
        ends = _ends_at_hour(index, separating_hour)
    else:
        ends = _session_ends(index, calendar, is_daily=is_daily)
    per_year, source = _sessions_per_year(index[ends], calendar)
    return Periods(ends, per_year, "daily", source)


def bar_days(index: pd.DatetimeIndex) -> float:
    """Return the length of the bars in days: the lower quartile of their distances, so that gaps do not count."""
    if len(index) < 2:
        return 0.0
    steps = np.sort(_days_between_bars(index))
    return float(steps[(len(steps) - 1) // 4])


def _days_between_bars(index: pd.DatetimeIndex) -> Floats:
    """Return the distances of the last bars, at most 1,000."""
    return np.asarray(np.diff(index.values[-_STEPS_READ:]) / np.timedelta64(1, "D"), dtype=np.float64)


def _periods_of_long_bars(index: pd.DatetimeIndex, days: float) -> Periods:
    ends = np.arange(len(index))
    weeks, months = max(1, round(days / 7)), round(days / DAYS_PER_MONTH)
    steps = _days_between_bars(index)
    # Four weeks are 28 days every time; months have 28 to 31.
    in_weeks = abs(float(np.median(steps)) - 7 * weeks) <= 1.0 and (months == 0 or np.ptp(steps) % 7 < 1.0)
    if in_weeks:
        return Periods(ends, WEEKS_PER_YEAR / weeks, "weekly" if weeks == 1 else f"{weeks}-week")
    if months:
        return Periods(ends, 12.0 / months, _MONTH_NAMES.get(months, f"{months}-month"))
    return Periods(ends, measure_per_year(index), f"{days:g}-day", "measured")


def _session_ends(index: pd.DatetimeIndex, calendar: str, *, is_daily: bool) -> Positions:
    """Return the last bar of each session; a bar belongs to the session in which it opens, or to the next one."""
    first, last = (int(time.as_unit("ns").value) for time in (index[0], index[-1]))
    sessions = Sessions.covering(calendar, first, last)
    if is_daily:
        session = sessions.of_daily_bars(unix_nanoseconds(index))[0]
        return np.flatnonzero(np.append(session[1:] != session[:-1], True))
    return _last_bars_before(index, sessions.closes)


def _ends_at_hour(index: pd.DatetimeIndex, hour: int) -> Positions:
    """Return the last bar of each day that ends at this UTC hour."""
    first = index[0].floor("D") + pd.Timedelta(hours=hour)
    days = pd.date_range(first, index[-1] + pd.Timedelta(days=1), freq="D")
    return _last_bars_before(index, unix_nanoseconds(days))


def _last_bars_before(index: pd.DatetimeIndex, instants: UnixNanoseconds) -> Positions:
    """Return the last bar before each of the instants, each bar once, and the last bar of all.

    Looking up a session in the bars takes a thousandth of the time of looking up each bar in the sessions.
    """
    times = pd.DatetimeIndex(instants, tz="UTC").as_unit(index.unit)
    after = np.unique(np.searchsorted(index.values, times.values, side="left"))
    return np.append(after[(after > 0) & (after < len(index))] - 1, len(index) - 1)


def _sessions_per_year(ends: pd.DatetimeIndex, calendar: str | None) -> tuple[float, str]:
    """Return the number of sessions a year, and its origin."""
    if calendar == FOREX:
        return float(SESSIONS_PER_YEAR[FOREX]), "sessions end at 17:00 New York"
    if calendar == ALWAYS_OPEN:
        return float(SESSIONS_PER_YEAR[ALWAYS_OPEN]), "UTC days"
    if calendar is not None and calendar in SESSIONS_PER_YEAR:
        return float(SESSIONS_PER_YEAR[calendar]), f"sessions of {calendar}"
    if len(ends) > 1 and (ends[-1] - ends[0]).total_seconds() > SECONDS_PER_YEAR:
        return measure_per_year(ends), "measured"
    return EXCHANGE_DAYS_PER_YEAR, "assumed, calendar unknown"


def measure_per_year(times: pd.DatetimeIndex) -> float:
    """Return how many of the intervals between `times` (at least two) a year of 365.25 days has."""
    return (len(times) - 1) * SECONDS_PER_YEAR / float((times[-1] - times[0]).total_seconds())
