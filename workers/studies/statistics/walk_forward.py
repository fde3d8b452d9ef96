"""Walk-forward and combinatorial selection: choose a trial on the training days of each fold, trade it on the test days.

All trials are simulated once over all days; the moments of the days between two borders of folds then give every
trial's Sharpe ratio on the training days of every fold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoldDays:
    """The days of one fold, as flags; bool[days]."""

    train: Flags
    test: Flags


@dataclass(slots=True)
class Selection:
    """The best trial of each fold so far, by its Sharpe ratio on the training days."""

    folds: Sequence[FoldDays]
    best: NDArray[np.int64]
    """int64[folds]: number of the trial, -1 without one."""
    ratio: Floats
    """float64[folds]: its ratio per day on the training days."""
    mean: Floats
    """float64[folds]: its mean daily return on the training days."""
    _segments: tuple[Floats, NDArray[np.intp]] = field(init=False, repr=False)
    """Whether each segment of days belongs to the training days of each fold, float64[segments, folds], and its first day."""
    _train_days: Floats = field(init=False, repr=False)
    """float64[folds]."""

    def __post_init__(self) -> None:
        if not self.folds:
            return
        train = np.stack([fold.train for fold in self.folds], axis=1)  # [days, folds]
        is_border = np.append(True, (train[1:] != train[:-1]).any(axis=1))
        starts = np.flatnonzero(is_border)
        self._segments = train[starts].astype(np.float64), starts
        self._train_days = train.sum(axis=0).astype(np.float64)

    @classmethod
    def of(cls, folds: Sequence[FoldDays]) -> "Selection":
        count = len(folds)
        return cls(folds, np.full(count, -1), np.full(count, -math.inf), np.full(count, math.nan))

    def part(self, first: int, stop: int) -> "Selection":
        """Return the selection of some of the folds."""
        return Selection(
            self.folds[first:stop], self.best[first:stop], self.ratio[first:stop], self.mean[first:stop]
        )

    def add(self, numbers: NDArray[np.int64], returns: Floats) -> None:
        """Take in trials with `returns` (float64[k, days]); of equal trials, the one that came first is chosen."""
        train, starts = self._segments
        days = self._train_days
        # Sums between the borders of folds first: there are far fewer of them than days.
        sums = np.array([segment_sums(row, starts) for row in returns])  # [k, 2, segments]
        total, squares = sums[:, 0] @ train, sums[:, 1] @ train  # [k, folds]
        variance = (squares - total * total / days) / np.maximum(days - 1, 1)
        varies = variance > 1e-15 * np.maximum(squares / days, 1e-300)
        ratio = np.where(varies, total / days / np.sqrt(np.where(varies, variance, 1.0)), -math.inf)
        first = ratio.argmax(axis=0)
        for fold, row in enumerate(first):
            if ratio[row, fold] > self.ratio[fold]:
                self.best[fold], self.ratio[fold] = numbers[row], ratio[row, fold]
                self.mean[fold] = total[row, fold] / days[fold]

    def merge(self, other: "Selection") -> None:
        """Take in the selection among other trials; of equal trials, the one with the lower number is chosen."""
        is_lower = (self.best < 0) | ((other.best >= 0) & (other.best < self.best))
        better = (other.ratio > self.ratio) | ((other.ratio == self.ratio) & is_lower)
        for name in ("best", "ratio", "mean"):
            setattr(self, name, np.where(better, getattr(other, name), getattr(self, name)))


@njit(cache=True, nogil=True)
def segment_sums(returns: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return float64[2, segments]: the sum and the sum of squares of `returns` (float64[days]) in each segment of days.

    `starts`: intp[segments], rising from 0: the first day of each.
    """
    sums = np.zeros((2, starts.size))
    for segment in range(starts.size):
        stop = starts[segment + 1] if segment + 1 < starts.size else returns.size
        total = squares = 0.0
        for t in range(starts[segment], stop):
            total += returns[t]
            squares += returns[t] * returns[t]
        sums[0, segment], sums[1, segment] = total, squares
    return sums


def efficiency(selection: Selection, test_means: Floats) -> float | None:
    """Return the mean daily return on the test days over that on the training days (Pardo 2008, ch. 11).

    `test_means`: float64[folds], of the chosen trials. None if the chosen trials did not earn in training.
    """
    chosen = selection.best >= 0
    if not chosen.any():
        return None
    inside = float(selection.mean[chosen].mean())
    return float(test_means[chosen].mean()) / inside if inside > 0 else None


@dataclass(frozen=True, slots=True)
class PathDistribution:
    """Annual Sharpe ratios of the paths of a combinatorial cross-validation."""

    sharpes: Floats
    low: float
    median: float
    high: float
    """5, 50 and 95 %."""
    loss_probability: float


def path_distribution(paths: Floats, per_year: float) -> PathDistribution | None:
    """Summarise the daily returns of `paths`, float64[paths, days]; None if none varies."""
    if paths.size == 0 or paths.shape[1] < 2:
        return None
    deviation = paths.std(axis=1, ddof=1)
    if not (deviation > 1e-15).any():
        return None
    ratios = np.where(deviation > 1e-15, paths.mean(axis=1) / np.maximum(deviation, 1e-15), 0.0)
    annual = ratios * math.sqrt(per_year)
    low, median, high = (float(np.quantile(annual, q)) for q in (0.05, 0.5, 0.95))
    return PathDistribution(annual, low, median, high, float(np.mean(annual < 0)))
