"""Tests for data snooping: is the best of many trials better than cash by more than chance?

The reality check (White 2000) and the test for superior predictive ability (Hansen 2005, consistent p-value), both by
the stationary bootstrap.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workers.studies.statistics.resampling import LANES, Lanes, Resamples, raise_maxima

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

ROUNDS = 1000
FEWEST_DAYS = 60


@dataclass(frozen=True, slots=True)
class Snooping:
    reality_check_p: float
    spa_p: float
    expected_best: float
    """Mean over the resamples of the highest Sharpe ratio per day, if no trial had any skill."""
    block: int
    """Mean length of a block in days."""
    trials: int


def default_block(days: int) -> int:
    """Return a mean block of the cube root of the days, at least five: daily returns hardly depend on each other."""
    return max(5, round(math.cbrt(days)))


def long_run_variance(returns: Floats, block: int) -> Floats:
    """Return float64[k]: the variance of sqrt(n) times the mean of `returns` (float64[k, n]) under the bootstrap."""
    mean = returns.mean(axis=1)
    deviations = [lanes.deviation for _, lanes in _in_lanes(returns, mean, block)]
    return np.concatenate(deviations)[: len(returns)] ** 2


def _in_lanes(returns: Floats, mean: Floats, block: int) -> Iterator[tuple[NDArray[np.intp], Lanes]]:
    """Yield the positions of `LANES` trials, and these; the last trial fills the lanes that are left."""
    for first in range(0, len(returns), LANES):
        rows = np.minimum(np.arange(first, first + LANES), len(returns) - 1)
        yield rows, Lanes.of(returns, mean, rows, block)


@dataclass(slots=True)
class Maxima:
    """The highest figures of the trials so far. Those of parts of a search are those of the whole, in any order."""

    resampled: Singles
    """float32[3, rounds]: highest resampled mean, each trial centred at its own; highest studentised one; highest Sharpe ratio
    per day, each trial's mean moved to 0."""
    best_mean: float = -math.inf
    best_ratio: float = -math.inf
    """Studentised."""
    trials: int = 0

    def merge(self, other: "Maxima") -> None:
        """Take in the maxima of other trials."""
        np.maximum(self.resampled, other.resampled, out=self.resampled)
        self.best_mean = max(self.best_mean, other.best_mean)
        self.best_ratio = max(self.best_ratio, other.best_ratio)
        self.trials += other.trials


class SnoopingTest:
    """Takes in the trials of a search, some at a time, and compares the best of all with cash."""

    def __init__(self, days: int, seed: int, rounds: int = ROUNDS) -> None:
        self.days, self.block, self._seed = days, default_block(days), seed
        self.maxima = Maxima(np.full((3, rounds), -math.inf, np.float32))

    @cached_property
    def _resamples(self) -> Resamples:
        """Not needed where only maxima are merged."""
        return Resamples.draw(self.days, self.block, self.maxima.resampled.shape[1], self._seed)

    def add(self, returns: Floats, trials: int | None = None) -> None:
        """Take in the daily returns of trials, float64[k, days]; those that do not vary count as cash.

        `trials`: how many of the rows are trials; the others are zero. None: all.
        """
        self.maxima.trials += len(returns) if trials is None else trials
        if self.days < FEWEST_DAYS:
            return
        mean = returns.mean(axis=1)
        for rows, lanes in _in_lanes(returns, mean, self.block):
            self._add_lanes(mean[rows], lanes)

    def _add_lanes(self, mean: Floats, lanes: Lanes) -> None:
        varies = lanes.deviation > 1e-12
        if not varies.any():
            return
        # In place of the others one that varies is taken again, which does not change a maximum.
        taken = np.where(varies, np.arange(LANES), varies.argmax())
        before = lanes.before if varies.all() else lanes.before.take(taken, axis=1)
        mean, deviation, spread = mean[taken], lanes.deviation[taken], lanes.spread[taken]
        ratio = math.sqrt(self.days) * mean / deviation
        # A trial that is clearly worse than cash keeps its mean, so it is not the best by chance (Hansen 2005, eq. 10).
        is_bad = ratio <= -math.sqrt(2.0 * math.log(math.log(self.days)))
        maxima, drawn = self.maxima, self._resamples
        raise_maxima(
            before,
            drawn.first,
            drawn.stop,
            drawn.offsets,
            np.where(is_bad, mean, 0.0).astype(np.float32),
            deviation.astype(np.float32),
            spread.astype(np.float32),
            maxima.resampled,
        )
        maxima.best_mean = max(maxima.best_mean, float(mean.max()))
        maxima.best_ratio = max(maxima.best_ratio, float(ratio.max()))

    def result(self) -> Snooping | None:
        """Return the p-values; None with too few days, or if no trial varies."""
        maxima = self.maxima
        if not math.isfinite(maxima.best_mean):
            return None
        means, ratios, lucky = maxima.resampled.astype(np.float64)
        root = math.sqrt(self.days)
        return Snooping(
            float(np.mean(means > maxima.best_mean)),
            float(np.mean(np.maximum(root * ratios, 0.0) > max(maxima.best_ratio, 0.0))),
            float(np.mean(lucky)),
            self.block,
            maxima.trials,
        )
