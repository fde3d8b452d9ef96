"""Count what contradicts a reading of the times: bars outside the sessions of a calendar, and sessions without bars."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.market_data.exchanges import find_exchange
from workers.market_data.sessions import (
    ALWAYS_OPEN,
    FOREX,
    NANOSECONDS_A_DAY,
    WEEKDAYS,
    Sessions,
    UnixNanoseconds,
    midnights,
)

Flags = npt.NDArray[np.bool_]

_HOUR = 3_600_000_000_000
_LONGEST_BREAK = 3 * _HOUR
"""No exchange pauses longer within a session."""
_UNCOVERED = _HOUR // 4
"""Time at an edge of a session from which it counts as incomplete, for bars of this length and more."""
_MOST_POINTS = 12_000
_WHOLE, _PART = 2, 1
"""Weights: a run of sessions without bars or bars before a session, and a session whose edge has no bars."""
_GENERIC = (ALWAYS_OPEN, FOREX, WEEKDAYS)
_FIXED_HOLIDAYS = ((1, 1), (12, 25))
"""Days on which currency and stock markets are closed everywhere."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the times fit a calendar."""

    calendar: str
    contradictions: int
    inside: float
    """Share of the bars within sessions."""
    sessions: int
    """Sessions from the first bar to the last."""
    outside: int
    missing: int
    """Sessions without a bar, and sessions whose start or end has no bar."""

    @property
    def is_good(self) -> bool:
        return self.inside >= 0.95 and self.contradictions <= max(1.0, 0.34 * self.sessions)

    def describe(self) -> str:
        if not self.contradictions:
            return f"{self.calendar}: all bars lie in its {self.sessions} sessions and fill them"
        return f"{self.calendar}: {self.outside} bars outside its {self.sessions} sessions, {self.missing} sessions incomplete"


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Some bars that represent all of them: the first and the last one of each hour; int64[n] nanoseconds, sorted."""

    opens: UnixNanoseconds
    length: int
    """Nanoseconds of a bar."""

    @property
    def are_intraday(self) -> bool:
        return self.length < NANOSECONDS_A_DAY

    def at(self, opens: UnixNanoseconds) -> "Points":
        return Points(opens, self.length)

    def start(self) -> "Points":
        """Return the first points, enough to rule out most calendars."""
        return Points(self.opens[:1000], self.length)


def points_of(opens: UnixNanoseconds, length: int) -> Points:
    """Reduce the times of bars to the edges of each hour, and to the start of long data."""
    if length >= _HOUR or len(opens) < 2:
        kept = opens
    else:
        hours = opens // _HOUR
        changes = np.flatnonzero(np.diff(hours))
        kept = opens[np.unique(np.concatenate(([0], changes, changes + 1, [len(opens) - 1])))]
    return Points(kept[:_MOST_POINTS], length)


def fit(points: Points, calendar: str) -> Fit | None:
    """Compare the points with a calendar; None if the calendar does not cover their dates."""
    if not len(points.opens):
        return None
    found = _sessions(calendar, int(points.opens[0]), int(points.opens[-1]))
    if found is None:
        return None
    opens, closes, days = found
    if not points.are_intraday:
        return _fit_days(points, calendar, opens, closes, days)
    return _fit_hours(points, calendar, opens, closes, days)


Table = tuple[UnixNanoseconds, UnixNanoseconds, UnixNanoseconds]


def _sessions(calendar: str, first: int, last: int) -> Table | None:
    """Return opens, closes and days of the sessions around the period."""
    margin = 7 * NANOSECONDS_A_DAY
    if calendar in _GENERIC:
        table = Sessions.covering(calendar, first, last)
        opens, closes, days = table.opens, table.closes, table.days
        if calendar != ALWAYS_OPEN:
            kept = ~_fixed_holidays(days)
            opens, closes, days = opens[kept], closes[kept], days[kept]
    else:
        exchange = find_exchange(calendar)
        if exchange is None or not exchange.covers(first, last):
            return None
        stored = exchange.between(first - margin, last + margin)
        opens, closes, days = stored.opens, stored.closes, stored.days
    rows = slice(
        max(int(np.searchsorted(closes, first, side="right")) - 1, 0),
        int(np.searchsorted(opens, last, side="right")) + 1,
    )
    return opens[rows], closes[rows], days[rows]


def _fixed_holidays(days: UnixNanoseconds) -> Flags:
    dates = days.view("datetime64[ns]").astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (dates - months).astype(np.int64) + 1
    return np.asarray(np.logical_or.reduce([(month == m) & (day == d) for m, d in _FIXED_HOLIDAYS]))


def _runs(flags: Flags) -> int:
    """Return the number of runs of true values."""
    return int(flags[:1].sum() + (flags[1:] & ~flags[:-1]).sum())


def _fit_hours(
    points: Points, calendar: str, opens: UnixNanoseconds, closes: UnixNanoseconds, days: UnixNanoseconds
) -> Fit:
    """Compare intraday bars: a bar is inside if a part of it is, because hours may start before the session."""
    if not len(opens):
        return Fit(calendar, _WHOLE, 0.0, 0, len(points.opens), 0)
    session = np.searchsorted(closes, points.opens, side="right")
    in_table = session < len(opens)
    inside = in_table & (points.opens + points.length > opens[np.minimum(session, len(opens) - 1)])
    present = session[inside]
    outside_of = _WHOLE * len(np.unique(session[~inside]))
    if not len(present):
        return Fit(calendar, outside_of + len(opens), 0.0, len(opens), len(points.opens), len(opens))
    first, last = int(present[0]), int(present[-1])
    starts = np.searchsorted(present, np.arange(first, last + 1))
    ends = np.searchsorted(present, np.arange(first, last + 1), side="right")
    has_bars = ends > starts
    of_inside = points.opens[inside]
    rows = np.arange(first, last + 1)[has_bars]
    earliest, latest = of_inside[starts[has_bars]], of_inside[ends[has_bars] - 1]
    uncovered = min(points.length, _UNCOVERED)
    late = earliest - opens[rows] >= uncovered
    early = closes[rows] - (latest + points.length) >= uncovered
    late[0] = early[-1] = False  # The data start and end within sessions.
    holes = (np.diff(of_inside) >= points.length + _LONGEST_BREAK) & (np.diff(present) == 0)
    incomplete = int(late.sum() + early.sum() + holes.sum())
    contradictions = outside_of + _WHOLE * _runs(~has_bars) + _PART * incomplete
    return Fit(
        calendar,
        contradictions,
        float(inside.mean()),
        last - first + 1,
        int((~inside).sum()),
        int((~has_bars).sum()) + incomplete,
    )


def _fit_days(
    points: Points, calendar: str, opens: UnixNanoseconds, closes: UnixNanoseconds, days: UnixNanoseconds
) -> Fit:
    """Compare daily bars by the dates of sessions; a date with a clock time belongs to the session that contains it."""
    dated = points.opens % NANOSECONDS_A_DAY == 0
    session = np.minimum(np.searchsorted(closes, points.opens, side="right"), max(len(days) - 1, 0))
    dates = np.unique(np.where(dated, points.opens, days[session] if len(days) else points.opens))
    if calendar == FOREX:
        # Daily bars of brokers whose day ends at midnight have a short one on Sunday evenings.
        weekday = (dates // NANOSECONDS_A_DAY + 3) % 7
        dates = np.unique(np.where(weekday == 6, dates + NANOSECONDS_A_DAY, dates))
    expected = days[(days >= dates[0]) & (days <= dates[-1])]
    inside = np.isin(dates, expected)
    filled = np.isin(expected, dates)
    contradictions = _WHOLE * (_runs(~inside) + _runs(~filled))
    return Fit(
        calendar,
        contradictions,
        float(inside.mean()),
        len(expected),
        int((~inside).sum()),
        int((~filled).sum()),
    )


def is_round_the_clock(points: Points) -> bool:
    """Whether bars exist at most hours of the day."""
    return len(np.unique(points.opens // _HOUR % 24)) >= 20


def has_saturdays(points: Points) -> bool:
    days = np.unique(midnights(points.opens))
    return bool(np.mean((days // NANOSECONDS_A_DAY + 3) % 7 == 5) > 0.05)
