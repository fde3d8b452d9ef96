"""Find the trading calendar that the times of bars follow, by comparison with every supported one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workers.market_data.exchanges import exchange_names
from workers.market_data.session_fit import Fit, Points, fit, is_round_the_clock, points_of
from workers.market_data.sessions import (
    ALWAYS_OPEN,
    FOREX,
    GENERIC_CALENDARS,
    NANOSECONDS_A_DAY,
    WEEKDAYS,
    unix_nanoseconds,
)

_FEWEST_BARS = 10
_FEWEST_DAYS = 15
"""Fewer dates do not identify an exchange; trading hours may."""
_CLOSE_SECONDS = 12
"""Number of calendars that are compared with all points after a comparison with the first ones."""


@dataclass(frozen=True, slots=True)
class CalendarChoice:
    """The calendar that fits best, and the next one that differs."""

    calendar: str
    reason: str
    runner_up: str
    fit: Fit | None = None


def calendar_of(bars: pd.DataFrame) -> str:
    """Return the calendar stored with `bars`, or else the one that their times fit best."""
    return str(bars.attrs.get("calendar") or infer_calendar(pd.DatetimeIndex(bars.index)))


def infer_calendar(index: pd.DatetimeIndex) -> str:
    """Return the calendar that fits the bars best: an exchange, or `24/7`, `fx` or `weekdays`."""
    opens = unix_nanoseconds(index)
    steps = np.diff(opens)
    length = int(np.median(steps)) if len(steps) else NANOSECONDS_A_DAY
    if (opens % NANOSECONDS_A_DAY != 0).any() and len(steps):
        length = int(steps[steps > 0].min())
    return choose_calendar(points_of(opens, length)).calendar


def choose_calendar(points: Points) -> CalendarChoice:
    """Compare the bars with all calendars: the one with the fewest contradictions, and on a tie the more usual one."""
    if points.length >= 5 * NANOSECONDS_A_DAY:
        return CalendarChoice(WEEKDAYS, "bars longer than a day", "")
    ranking = rank_calendars(points)
    generic = next(found for found in ranking if found.calendar in GENERIC_CALENDARS)
    exchanges = [found for found in ranking if found.calendar not in GENERIC_CALENDARS]
    best = generic
    if exchanges and _is_identified(exchanges[0], generic, points):
        best = exchanges[0]
    others = [found for found in ranking if found is not best and found.calendar != best.calendar]
    runner_up = others[0].describe() if others else ""
    return CalendarChoice(best.calendar, best.describe(), runner_up, best)


def _is_identified(exchange: Fit, generic: Fit, points: Points) -> bool:
    """Whether an exchange explains the bars clearly better than `24/7`, `fx` or `weekdays`."""
    if len(points.opens) < _FEWEST_BARS or exchange.inside < 0.95:
        return False
    if not points.are_intraday and exchange.sessions < _FEWEST_DAYS:
        return False
    return (
        exchange.contradictions + 2 <= generic.contradictions
        and exchange.contradictions <= 0.5 * generic.contradictions
    )


def rank_calendars(points: Points) -> list[Fit]:
    """Return the fits of all calendars that cover the dates, the best first."""
    start = points.start()
    names = exchange_names()
    order = {name: i for i, name in enumerate((*_generic_order(points), *names))}
    candidates = [found for name in names if (found := fit(start, name)) is not None]
    candidates.sort(key=lambda found: (found.contradictions, order[found.calendar]))
    if len(points.opens) > len(start.opens):
        most = candidates[:_CLOSE_SECONDS][-1].contradictions if candidates else 0
        shortlist = [found.calendar for found in candidates if found.contradictions <= most]
        candidates = [found for name in shortlist if (found := fit(points, name)) is not None]
    generic = [found for name in _generic_candidates(points) if (found := fit(points, name)) is not None]
    return sorted([*generic, *candidates], key=lambda found: (found.contradictions, order[found.calendar]))


def _generic_candidates(points: Points) -> tuple[str, ...]:
    """Return the calendars without an exchange; currencies trade around the clock."""
    if points.are_intraday and len(points.opens) >= _FEWEST_BARS and not is_round_the_clock(points):
        return ALWAYS_OPEN, WEEKDAYS
    return GENERIC_CALENDARS


def _generic_order(points: Points) -> tuple[str, ...]:
    """Return the preference where the bars fit several: bars around the clock are those of currencies."""
    if points.are_intraday and is_round_the_clock(points):
        return FOREX, ALWAYS_OPEN, WEEKDAYS
    return WEEKDAYS, FOREX, ALWAYS_OPEN
