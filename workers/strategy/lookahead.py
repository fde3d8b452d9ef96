"""Proof on the data itself that nothing looks ahead: cut off the future, compute again, compare.

Whatever is known at the close of a bar must come out the same when all later bars are missing.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from workers.market_data.calendars import calendar_of
from workers.market_data.timeframes import close_times
from workers.strategy.definition import Strategy
from workers.strategy.features import Frames, attach_calendar, build_features

TOLERANCE = 1e-9
"""Largest relative difference that rounding explains."""
_FLOOR = 1e-12
_CUTS = 12
MIN_CUTS = 2
"""Cuts that are made however short the time is."""
_ENOUGH_ROWS = 500
_SEED = 20_240_229

Build = Callable[[Strategy, Frames], pd.DataFrame]


class LookAheadError(Exception):
    """A value changes when only later bars change: the strategy sees the future."""


@dataclass(frozen=True, slots=True)
class FeatureAudit:
    """What was compared: at `cuts` bars the inputs were computed again without anything later."""

    cuts: int
    rows_compared: int
    largest_difference: float
    seconds: float

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def audit_features(
    strategy: Strategy,
    frames: Frames,
    budget_s: float,
    build: Build = build_features,
    full: pd.DataFrame | None = None,
) -> FeatureAudit:
    """Recompute the inputs at up to twelve cuts, at least two, within about `budget_s` seconds.

    `full`: what `build` makes of all bars, where that is known already. Raises `LookAheadError` naming the first
    input that changes by more than 1e-9, relative, or a row that appears or vanishes.
    """
    frames = attach_calendar(strategy, frames)
    full = build(strategy, frames) if full is None else full
    base = pd.DatetimeIndex(frames[strategy.base_timeframe].index)
    started, audited, bars, rows, largest = time.monotonic(), 0, 0, 0, 0.0
    for last in cut_points(base.get_indexer(full.index)):
        if audited >= MIN_CUTS and not fits_budget(time.monotonic() - started, bars, last + 1, budget_s):
            break
        known = truncate_frames(strategy, frames, last)
        expected = full[full.index <= base[last]]
        largest = max(largest, _compare(build(strategy, known), expected))
        audited, bars, rows = audited + 1, bars + last + 1, rows + len(expected)
    return FeatureAudit(audited, rows, largest, time.monotonic() - started)


def fits_budget(spent_s: float, done: int, more: int, budget_s: float) -> bool:
    """Whether `more` bars are likely to stay in the budget, when `done` bars took `spent_s`."""
    return spent_s * (1.0 + more / done) <= budget_s


def truncate_frames(strategy: Strategy, frames: Frames, last: int) -> dict[str, pd.DataFrame]:
    """The frames as they were known when base bar number `last` closed."""
    base = frames[strategy.base_timeframe]
    calendar = calendar_of(base)
    now = close_times(pd.DatetimeIndex(base.index[last : last + 1]), strategy.base_timeframe, calendar)[0]
    known = {}
    for timeframe, bars in frames.items():
        if timeframe == strategy.base_timeframe:
            known[timeframe] = base.iloc[: last + 1]
        else:
            known[timeframe] = bars[close_times(pd.DatetimeIndex(bars.index), timeframe, calendar) <= now]
        known[timeframe].attrs["calendar"] = calendar
    return {timeframe: bars for timeframe, bars in known.items() if len(bars)}


def cut_points(positions: np.ndarray) -> list[int]:
    """Of the rows' `positions`, those to cut after: two neighbours, then the first row and a seeded sample, the
    cheapest first.

    Neighbours, because a leak through a higher timeframe does not show at the cut where its bar closes together
    with the base bar. The first rows alone would prove little: nothing has happened yet. So the neighbours lie a
    third of the way into short data, and where enough has happened in long data.
    """
    n = len(positions)
    inside = min(n // 3, max(_ENOUGH_ROWS, n // 50))
    random = np.random.default_rng(_SEED)
    sample = np.sort(random.choice(positions, size=min(_CUTS, n), replace=False))
    ordered = (*positions[inside : inside + MIN_CUTS], positions[0], *sample)
    return list(dict.fromkeys(int(position) for position in ordered))[:_CUTS]


def _compare(again: pd.DataFrame, expected: pd.DataFrame) -> float:
    """Largest relative difference. Raises `LookAheadError` beyond the tolerance."""
    if not again.index.equals(expected.index):
        odd = again.index.symmetric_difference(expected.index)[0]
        raise LookAheadError(
            f"the row of {odd} exists only when later bars are there, or only when they are not"
        )
    ours, theirs = again.to_numpy(), expected.to_numpy()
    scale = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), _FLOOR / TOLERANCE)
    difference = np.abs(ours - theirs) / scale
    worst = int(np.argmax(difference.max(axis=0)))
    if difference[:, worst].max() > TOLERANCE:
        row = int(np.argmax(difference[:, worst] > TOLERANCE))
        raise LookAheadError(
            f"the input {expected.columns[worst]} of {expected.index[row]} is {theirs[row, worst]:.10g}, but "
            f"{ours[row, worst]:.10g} when the bars after {expected.index[-1]} are missing: it sees the future"
        )
    return float(difference.max())
