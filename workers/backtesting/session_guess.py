"""Guess the trading day of bars whose calendar is unknown, from the times at which they open."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.market_data.sessions import ALWAYS_OPEN, FOREX

_BARS_READ = 10_000
_OPEN_DAY = 0.05
"""Smallest share of the bars on a weekday on which the market trades."""
_QUIET_HOUR = 0.02
"""An hour with fewer bars than this share of the busiest hour is quiet."""
_LONGEST_WEEK = 5.3
"""Daily bars of a market with five days a week are at most this many a week."""
_SHORTEST_PAUSE = 3
"""A market whose daily pause is shorter, in hours, trades around the clock."""
_MONDAY_OF_EPOCH = 3
"""1970-01-01 was a Thursday: weekday 3 from Monday."""
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6


def guess_trading_day(index: pd.DatetimeIndex, *, is_daily: bool) -> tuple[str | None, int]:
    """Return the calendar that the times imply, or None and the UTC hour that separates the trading days.

    A market that trades around the clock, or has daily bars, on all days of the week is `24/7`; one that does so
    without Saturdays is `fx`, if its daily bars include Sundays. The days of any other market are separated in the
    middle of its longest pause, so that a session that crosses midnight UTC stays one day.
    """
    by_day, by_hour = _shares_of_bars(index)
    start, hours = _longest_pause(by_hour)
    is_open = by_day >= _OPEN_DAY
    if is_daily and is_open.all():
        return ALWAYS_OPEN, 0
    # Bars of local midnight open on Sunday by UTC too, but are five a week.
    has_sunday_bars = is_open[_FRIDAY] and is_open[_SUNDAY] and _bars_per_week(index) > _LONGEST_WEEK
    if is_daily and has_sunday_bars and not is_open[_SATURDAY]:
        return FOREX, 0
    if not is_daily and hours < _SHORTEST_PAUSE:
        return (ALWAYS_OPEN if is_open[_SATURDAY] else FOREX), 0
    return None, (start + hours // 2) % 24


def _bars_per_week(index: pd.DatetimeIndex) -> float:
    weeks = (index[-1] - index[0]).total_seconds() / (7 * 86400)
    return (len(index) - 1) / weeks if weeks > 0 else 0.0


def _shares_of_bars(index: pd.DatetimeIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of the bars by weekday (Monday first), float64[7], and by UTC hour, float64[24]."""
    times = index.values
    if len(times) > _BARS_READ:
        # Not every k-th bar: that could be the same hour of each day.
        times = times[np.random.default_rng(0).integers(0, len(times), _BARS_READ)]
    hour = times.astype("datetime64[h]").astype(np.int64)
    by_hour = np.bincount(hour % 24, minlength=24)
    by_day = np.bincount((hour // 24 + _MONDAY_OF_EPOCH) % 7, minlength=7)
    return by_day / len(hour), by_hour / len(hour)


def _longest_pause(by_hour: NDArray[np.float64]) -> tuple[int, int]:
    """Return the first hour of the longest run of quiet hours around the clock, and its length."""
    quiet = (by_hour < _QUIET_HOUR * by_hour.max()).tolist()
    longest = length = end = 0
    for hour in range(2 * len(quiet)):
        length = length + 1 if quiet[hour % len(quiet)] else 0
        if length > longest:
            longest, end = length, hour
    return (end - longest + 1) % len(quiet), longest
