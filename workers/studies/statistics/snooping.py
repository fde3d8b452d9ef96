"""Tests for data snooping: is the best of many trials better than cash by more than chance?

The reality check (White 2000) and the test for superior predictive ability (Hansen 2005, consistent p-value), both by
the stationary bootstrap (Politis and Romano 1994). A resample only counts how often each day occurs in it, so all
resampled means of all trials are one matrix product.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

ROUNDS = 1000
FEWEST_DAYS = 60
ROWS = 16
"""Trials at a time before the matrix product: their returns fit a processor's cache."""


@dataclass(frozen=True, slots=True)
class Snooping:
    reality_check_p: float
    spa_p: float
    expected_best: float
    """Mean over the resamples of the highest Sharpe ratio per day, if no trial had any skill."""
    block: int
    """Mean length of a block in days."""
    trials: int


def day_counts(days: int, block: int, rounds: int, seed: int) -> Singles:
    """Return float32[rounds, days]: how often each day occurs in each resample of the stationary bootstrap.

    The lengths of blocks are geometric with mean `block`; the days are a circle.
    """
    generator = np.random.default_rng(seed)
    # More blocks than a resample ever needs: their number is binomial, six deviations above its mean.
    blocks = min(days, math.ceil(days / block + 6.0 * math.sqrt(days / block)) + 1)
    starts = generator.integers(0, days, (rounds, blocks))
    lengths = generator.geometric(1.0 / block, (rounds, blocks))
    lengths[:, -1] = days
    ends = np.minimum(np.cumsum(lengths, axis=1), days)
    lengths = np.diff(ends, axis=1, prepend=0)
    counts = np.empty((rounds, days), np.float32)
    _count_days(starts, lengths, counts)
    return counts


@njit(cache=True, nogil=True)
def _count_days(starts: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> None:
    """Write how often the blocks of each resample, which continue at the first day after the last, contain each day."""
    rounds, days = counts.shape
    change = np.empty(2 * days + 1)
    for i in range(rounds):
        change[:] = 0.0
        for j in range(starts.shape[1]):
            change[starts[i, j]] += 1.0
            change[starts[i, j] + lengths[i, j]] -= 1.0
        active = 0.0
        for t in range(days):
            active += change[t]
            counts[i, t] = active
        for t in range(days):
            active += change[days + t]
            counts[i, t] += active


def default_block(days: int) -> int:
    """Return a mean block of the cube root of the days, at least five: daily returns hardly depend on each other."""
    return max(5, round(math.cbrt(days)))


def long_run_variance(returns: Floats, block: int) -> Floats:
    """Return float64[k]: the variance of sqrt(n) times the mean of `returns` (float64[k, n]) under the bootstrap.

    The exact variance of the stationary bootstrap (Politis and Romano 1994, eq. 9). Its sum over the lags of circular
    autocovariances is computed in the frequency domain, by Parseval's theorem.
    """
    return _variance_of_centred(
        returns - returns.mean(axis=1, keepdims=True), _frequency_weights(returns.shape[1], block)
    )


def _frequency_weights(n: int, block: int) -> Floats:
    """Return float64[2 (n // 2 + 1)]: the weight of each part, real and imaginary, of a spectrum in the variance."""
    lag = np.arange(n)
    weight = 2.0 * (1.0 - lag / n) * (1.0 - 1.0 / block) ** lag
    weight[0] = 1.0
    of_frequency = np.fft.rfft(weight).real / n**2
    of_frequency[1 : (n + 1) // 2] *= 2.0  # the negative frequencies
    return np.repeat(of_frequency, 2)


def _variance_of_centred(centred: Floats, weights: Floats) -> Floats:
    parts = np.fft.rfft(centred, axis=1).view(np.float64)
    parts *= parts
    variance: Floats = parts @ weights
    return variance


@dataclass(frozen=True, slots=True)
class _Centred:
    """Trials without their means; arrays of k but for `returns`."""

    returns: Singles
    """float32[k, days]."""
    mean: Floats
    spread: Floats
    """Standard deviation of the daily returns, ddof 1."""
    deviation: Floats
    """Of sqrt(days) times the mean, under the bootstrap."""

    @classmethod
    def of(cls, returns: Floats, weights: Floats) -> "_Centred":
        k, days = returns.shape
        made = cls(np.empty((k, days), np.float32), returns.mean(axis=1), np.empty(k), np.empty(k))
        for first in range(0, k, ROWS):
            rows = slice(first, first + ROWS)
            centred = returns[rows] - made.mean[rows, None]
            made.returns[rows] = centred
            made.spread[rows] = np.sqrt(np.einsum("ij,ij->i", centred, centred) / (days - 1))
            made.deviation[rows] = np.sqrt(np.maximum(_variance_of_centred(centred, weights), 0.0))
        return made


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
    def _counts(self) -> Singles:
        """float32[rounds, days]; not needed where only maxima are merged."""
        return day_counts(self.days, self.block, self.maxima.resampled.shape[1], self._seed)

    @cached_property
    def _weights(self) -> Floats:
        return _frequency_weights(self.days, self.block)

    def add(self, returns: Floats, trials: int | None = None) -> None:
        """Take in the daily returns of trials, float64[k, days]; those that do not vary count as cash.

        `trials`: how many of the rows are trials; the others are zero. None: all.
        """
        self.maxima.trials += len(returns) if trials is None else trials
        if self.days < FEWEST_DAYS:
            return
        centred = _Centred.of(returns, self._weights)
        varies = centred.deviation > 1e-12
        if not varies.any():
            return
        # float32[rounds, varying]: of each resample, its mean minus the trial's mean
        shifts = self._counts @ centred.returns.T
        shifts /= np.float32(self.days)
        if not varies.all():
            shifts = shifts[:, varies]
        mean, deviation, spread = (
            values[varies] for values in (centred.mean, centred.deviation, centred.spread)
        )
        ratio = math.sqrt(self.days) * mean / deviation
        # A trial that is clearly worse than cash keeps its mean, so it is not the best by chance (Hansen 2005, eq. 10).
        is_bad = ratio <= -math.sqrt(2.0 * math.log(math.log(self.days)))
        kept = np.where(is_bad, mean, 0.0).astype(np.float32)
        self.maxima.merge(
            Maxima(
                np.array(
                    [
                        shifts.max(axis=1),
                        ((shifts + kept) / deviation.astype(np.float32)).max(axis=1),
                        (shifts / spread.astype(np.float32)).max(axis=1),
                    ]
                ),
                float(mean.max()),
                float(ratio.max()),
            )
        )

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
