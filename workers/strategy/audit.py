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
from workers.strategy.features import Frames, build_features, with_calendar

TOLERANCE = 1e-9
"""Largest relative difference that rounding explains."""
_FLOOR = 1e-12
_CUTS = 12
AT_LEAST = 2
"""Cuts that are made however short the time is."""
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
    strategy: Strategy, frames: Frames, budget_s: float, build: Build = build_features
) -> FeatureAudit:
    """Recompute the inputs at up to twelve cuts, at least two, within about `budget_s` seconds.

    Raises `LookAheadError` naming the first input that changes by more than 1e-9, relative, or a row that
    appears or vanishes.
    """
    started = time.monotonic()
    frames = with_calendar(strategy, frames)
    full = build(strategy, frames)
    base = pd.DatetimeIndex(frames[strategy.base_timeframe].index)
    audited, rows, largest = 0, 0, 0.0
    for last in _cut_points(base.get_indexer(full.index)):
        if audited >= AT_LEAST and time.monotonic() - started > budget_s:
            break
        known = cut_off(strategy, frames, last)
        expected = full[full.index <= base[last]]
        largest = max(largest, _compare(build(strategy, known), expected))
        audited, rows = audited + 1, rows + len(expected)
    return FeatureAudit(audited, rows, largest, time.monotonic() - started)


def cut_off(strategy: Strategy, frames: Frames, last: int) -> dict[str, pd.DataFrame]:
    """The frames as they were known when base bar number `last` closed."""
    base = frames[strategy.base_timeframe]
    calendar = calendar_of(base)
    now = close_times(pd.DatetimeIndex(base.index[last : last + 1]), strategy.base_timeframe, calendar)[0]
    known = {}
    for timeframe, bars in frames.items():
        closed = close_times(pd.DatetimeIndex(bars.index), timeframe, calendar) <= now
        known[timeframe] = base.iloc[: last + 1] if timeframe == strategy.base_timeframe else bars[closed]
        known[timeframe].attrs["calendar"] = calendar
    return {timeframe: bars for timeframe, bars in known.items() if len(bars)}


def _cut_points(positions: np.ndarray) -> list[int]:
    """Base positions to cut after: two neighbours a third of the way, then the first row and a seeded sample.

    Neighbours, because a leak through a higher timeframe does not show at the cut where its bar closes together
    with the base bar. The first rows alone would prove little: nothing has happened yet.
    """
    random = np.random.default_rng(_SEED)
    third = len(positions) // 3
    sample = random.choice(positions, size=min(_CUTS, len(positions)), replace=False)
    ordered = (*positions[third : third + AT_LEAST], positions[0], *sample)
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
