"""Audit the features for look-ahead bias: remove the later bars, compute again, compare.

Every value known at the close of a bar must stay the same when all later bars are missing.
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
"""Largest relative difference that rounding can cause."""
_FLOOR = 1e-12
_CUTS = 12
MIN_CUTS = 2
"""Number of cuts made even if the time budget is spent."""
_ENOUGH_ROWS = 500
_SEED = 20_240_229

Build = Callable[[Strategy, Frames], pd.DataFrame]


class LookAheadError(Exception):
    """A value depends on later bars: the strategy uses future data."""


@dataclass(frozen=True, slots=True)
class FeatureAudit:
    """Result of an audit: at `cuts` bars the inputs were computed again without the later bars."""

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
    """Recompute the inputs at two to twelve cuts within about `budget_s` seconds.

    `full`: the result of `build` for all bars, if already computed. Raises `LookAheadError` with the first input
    that changes by more than 1e-9 (relative), or a row that appears or disappears.
    """
    frames = attach_calendar(strategy, frames)
    full = build(strategy, frames) if full is None else full
    base = pd.DatetimeIndex(frames[strategy.base_timeframe].index)
    started, cuts, bars, rows, largest = time.monotonic(), 0, 0, 0, 0.0
    for last in cut_points(base.get_indexer(full.index)):
        if cuts >= MIN_CUTS and not fits_budget(time.monotonic() - started, bars, last + 1, budget_s):
            break
        truncated = truncate_frames(strategy, frames, last)
        expected = full[full.index <= base[last]]
        largest = max(largest, _compare(build(strategy, truncated), expected))
        cuts, bars, rows = cuts + 1, bars + last + 1, rows + len(expected)
    return FeatureAudit(cuts, rows, largest, time.monotonic() - started)


def fits_budget(spent_s: float, done: int, more: int, budget_s: float) -> bool:
    """Estimate whether `more` bars still fit the budget, given that `done` bars took `spent_s`."""
    return spent_s * (1.0 + more / done) <= budget_s


def truncate_frames(strategy: Strategy, frames: Frames, last: int) -> dict[str, pd.DataFrame]:
    """Return the frames as known when base bar number `last` closed."""
    base = frames[strategy.base_timeframe]
    calendar = calendar_of(base)
    now = close_times(pd.DatetimeIndex(base.index[last : last + 1]), strategy.base_timeframe, calendar)[0]
    truncated = {}
    for timeframe, bars in frames.items():
        if timeframe == strategy.base_timeframe:
            truncated[timeframe] = base.iloc[: last + 1]
        else:
            truncated[timeframe] = bars[close_times(pd.DatetimeIndex(bars.index), timeframe, calendar) <= now]
        truncated[timeframe].attrs["calendar"] = calendar
    return {timeframe: bars for timeframe, bars in truncated.items() if len(bars)}


def cut_points(positions: np.ndarray) -> list[int]:
    """Choose the rows to cut after: two neighbours, then the first row and a seeded sample, cheapest first.

    Two neighbours, because a leak through a higher timeframe is invisible at a cut where its bar closes together
    with the base bar. The first rows would prove little, because few values have been computed by then. The
    neighbours therefore are a third of the way into short data, and after enough rows in long data.
    """
    n = len(positions)
    inside = min(n // 3, max(_ENOUGH_ROWS, n // 50))
    random = np.random.default_rng(_SEED)
    sample = np.sort(random.choice(positions, size=min(_CUTS, n), replace=False))
    ordered = (*positions[inside : inside + MIN_CUTS], positions[0], *sample)
    return list(dict.fromkeys(int(position) for position in ordered))[:_CUTS]


def _compare(again: pd.DataFrame, expected: pd.DataFrame) -> float:
    """Return the largest relative difference. Raises `LookAheadError` beyond the tolerance."""
    if not again.index.equals(expected.index):
        odd = again.index.symmetric_difference(expected.index)[0]
        raise LookAheadError(f"the row at {odd} appears or disappears when later bars are removed")
    ours, theirs = again.to_numpy(), expected.to_numpy()
    scale = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), _FLOOR / TOLERANCE)
    difference = np.abs(ours - theirs) / scale
    worst = int(np.argmax(difference.max(axis=0)))
    if difference[:, worst].max() > TOLERANCE:
        row = int(np.argmax(difference[:, worst] > TOLERANCE))
        raise LookAheadError(
            f"the input {expected.columns[worst]} at {expected.index[row]} is {theirs[row, worst]:.10g}, but "
            f"{ours[row, worst]:.10g} without the bars after {expected.index[-1]}: it uses future data"
        )
    return float(difference.max())
