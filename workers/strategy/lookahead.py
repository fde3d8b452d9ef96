"""Audit the features for look-ahead bias: remove the later bars, compute again, compare.

Every value known at the close of a bar must stay the same when all later bars are missing. A leak in every row shows
at any bar; one in a row of a hundred only if the data end at that row. So the inputs are computed again from the first
bar on at a few bars, and at hundreds of bars from only the bars that they remember. A difference there is a suspicion,
and the job fails only if the computation from the first bar on confirms it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from workers.market_data.calendars import calendar_of
from workers.market_data.sessions import NANOSECONDS_A_DAY, UnixNanoseconds, unix_nanoseconds
from workers.market_data.timeframes import close_times, nanoseconds
from workers.strategy.definition import Strategy
from workers.strategy.features import (
    NoCompleteRow,
    NoVolume,
    attach_calendar,
    build_features,
)
from workers.strategy.indicators.columns import Floats
from workers.strategy.views import Frames, View, build_views, symbol_of, timeframe_of
from workers.strategy.windows import Rows, inputs_from_windows

CUTS = 400
"""Bars to compute again from their windows. A leak in one row of a hundred escapes with probability 0.99^400 = 2 %."""
TOLERANCE = 1e-9
"""Largest difference that rounding can cause, relative to the largest value of the input in the run."""
_SUSPICIOUS = 3e-3
"""Difference that is worth confirming, relative to the mean change of the input in the rows where it changes."""
_LONGER = 8
"""Windows of suspicious rows are computed again at this length, because some averages forget slowly."""
_CONFIRMATIONS = 12
_ENOUGH_ROWS = 500
_SMALLEST = 1e-300
_A_MONDAY = 4 * NANOSECONDS_A_DAY
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
    """Relative to the largest value of the input, where the inputs were computed from the first bar on."""
    seconds: float

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def audit_features(
    strategy: Strategy,
    frames: Frames,
    full: pd.DataFrame,
    *,
    since: pd.Timestamp | None = None,
    cuts: int = CUTS,
    build: Build = build_features,
) -> FeatureAudit:
    """Compute the inputs again without the later bars, and compare them with `full`, the inputs that the run uses.

    `since`: the first row that the run uses; earlier ones only warm up. The bars are chosen by a fixed seed, never by
    the time that is left. Raises `LookAheadError` with the first input that changes, or a row that appears or
    disappears.
    """
    started = time.monotonic()
    attached = attach_calendar(strategy, frames)
    cut = _Cut(strategy, attached, build_views(strategy, attached), full, build)
    base = nanoseconds(strategy.base_timeframe)
    longer = [length for length in map(nanoseconds, strategy.timeframes) if length > base]
    early = early_rows(unix_nanoseconds(pd.DatetimeIndex(full.index)), longer)
    largest = [cut.compare(row) for row in early]
    unused = 0 if since is None else int(full.index.searchsorted(since))
    chosen = choose_rows(len(full) - unused, cuts) + unused
    suspects = cut.suspicious_rows(chosen)
    largest += [cut.compare(row) for row in suspects]
    compared = len(chosen) + sum(row + 1 for row in (*early, *suspects))
    return FeatureAudit(len(early) + len(chosen), compared, max(largest), time.monotonic() - started)


def early_rows(times: UnixNanoseconds, longer: Sequence[int]) -> list[int]:
    """Choose a row a third of the way into short data, and after enough rows in long data.

    `longer`: lengths of longer timeframes in nanoseconds. A leak through their forming bars is invisible at the end of
    one, so the row lies well inside each, or it is followed by its neighbour.
    """
    n = len(times)
    inside = min(n // 3, max(_ENOUGH_ROWS, n // 50))
    if not longer:
        return [inside]
    since_monday = times[inside : inside + _ENOUGH_ROWS] - _A_MONDAY
    parts = [since_monday % length / length for length in longer]
    well_inside = np.logical_and.reduce([(part >= 0.25) & (part <= 0.5) for part in parts])
    if well_inside.any():
        return [inside + int(well_inside.argmax())]
    return list(range(inside, min(inside + 2, n)))


def choose_rows(n: int, size: int) -> Rows:
    """Choose at most `size` of `n` rows, always the same ones, in order."""
    return np.sort(np.random.default_rng(_SEED).choice(n, size=min(size, n), replace=False))


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The inputs that a run uses, and how to compute them again at one of their rows."""

    strategy: Strategy
    frames: Frames
    views: Mapping[str, View]
    full: pd.DataFrame
    build: Build

    @property
    def base(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.frames[self.strategy.base_timeframe].index)

    def compare(self, row: int) -> float:
        """Build the inputs from the first bar to the one of `row`, and return the largest relative difference."""
        last = int(self.base.searchsorted(self.full.index[row]))
        try:
            again = self.build(self.strategy, truncate_frames(self.strategy, self.frames, last))
        except NoVolume:  # the volume starts later in the data
            return 0.0
        except NoCompleteRow as error:
            raise LookAheadError(
                f"the row at {self.full.index[row]} disappears when later bars are removed"
            ) from error
        values = self.full.to_numpy()
        return _compare(again, self.full.iloc[: row + 1], np.maximum(values.max(axis=0), -values.min(axis=0)))

    def suspicious_rows(self, rows: Rows) -> list[int]:
        """Return the rows that differ from their windows, the largest differences first."""
        rows = rows[self._differences(rows, lengthen=1) > 1.0]
        if not len(rows):
            return []
        differences = self._differences(rows, _LONGER)
        worst = np.argsort(-differences, kind="stable")[:_CONFIRMATIONS]
        return [int(row) for row in rows[worst[differences[worst] > 1.0]]]

    def _differences(self, rows: Rows, lengthen: int) -> Floats:
        """Return each row's largest difference from its window, in units of a suspicious one; float64[rows]."""
        values, computed = inputs_from_windows(
            self.strategy, self.views, self.base.searchsorted(self.full.index[rows]), lengthen
        )
        full = self.full.to_numpy()
        expected, following = full[rows], full[np.minimum(rows + 1, len(full) - 1)]
        with np.errstate(invalid="ignore"):  # inf - inf
            difference = np.where(values == expected, 0.0, np.abs(values - expected))
            changes = np.abs(following - expected)
            change = changes.sum(axis=0) / np.maximum(np.count_nonzero(changes, axis=0), 1)
        unit = _SUSPICIOUS * change + TOLERANCE * np.abs(expected).max(axis=0)
        relative = np.where(computed, difference / np.maximum(unit, _SMALLEST), 0.0)
        largest: Floats = np.where(np.isnan(relative), np.inf, relative).max(axis=1)
        return largest


def truncate_frames(strategy: Strategy, frames: Frames, last: int) -> dict[str, pd.DataFrame]:
    """Return the frames as known when base bar number `last` closed."""
    base = frames[strategy.base_timeframe]
    calendar = calendar_of(base)
    now = close_times(pd.DatetimeIndex(base.index[last : last + 1]), strategy.base_timeframe, calendar)[0]
    truncated = {}
    for key, bars in frames.items():
        own = calendar_of(bars) if symbol_of(key) else calendar
        if key == strategy.base_timeframe:
            truncated[key] = base.iloc[: last + 1]
        else:
            truncated[key] = bars[close_times(pd.DatetimeIndex(bars.index), timeframe_of(key), own) <= now]
        truncated[key].attrs["calendar"] = own
    return {key: bars for key, bars in truncated.items() if len(bars)}


def _compare(again: pd.DataFrame, expected: pd.DataFrame, largest: Floats) -> float:
    """Return the largest difference relative to `largest`, the size of each input; float64[inputs].

    Raises `LookAheadError` beyond the tolerance.
    """
    if not again.index.equals(expected.index):
        odd = again.index.symmetric_difference(expected.index)[0]
        raise LookAheadError(f"the row at {odd} appears or disappears when later bars are removed")
    ours, theirs = again.to_numpy(), expected.to_numpy()
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = np.where(ours == theirs, 0.0, np.abs(ours - theirs)) / np.maximum(largest, _SMALLEST)
    difference[np.isnan(difference)] = np.inf
    worst = int(np.argmax(difference.max(axis=0)))
    if difference[:, worst].max() > TOLERANCE:
        row = int(np.argmax(difference[:, worst] > TOLERANCE))
        raise LookAheadError(
            f"the input {expected.columns[worst]} at {expected.index[row]} is {theirs[row, worst]:.10g}, but "
            f"{ours[row, worst]:.10g} without the bars after {expected.index[-1]}: it uses future data"
        )
    return float(difference.max())
