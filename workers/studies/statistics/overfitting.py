"""The probability of backtest overfitting, by combinatorially symmetric cross-validation.

Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting". The days are divided into 16
blocks; each of the 12,870 choices of eight is one half, in which the best trial is chosen and whose complement shows
its rank. The moments of the blocks suffice.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workers.studies.messages import BLOCKS
from workers.studies.statistics.moments import FEWEST_DAYS, block_edges
from workers.studies.threads import count_threads

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

HALF = BLOCKS // 2
FEWEST_TRIALS = 2
HISTOGRAM_EDGES = np.linspace(-6.0, 6.0, 49)


@dataclass(frozen=True, slots=True)
class Overfitting:
    pbo: float
    """Share of the halves whose best trial is below the median of the other half."""
    slope: float | None
    """Of the ratio in the other half on the ratio in the half, of its best trials; None if those do not differ."""
    loss_probability: float
    """Share of the halves whose best trial loses in the other half."""
    logits: Floats
    """float64[12870]: logit of the relative rank in the other half."""
    inside: Floats
    """float64[12870]: Sharpe ratio per day in the half of its best trial."""
    outside: Floats
    """float64[12870]: its ratio in the other half."""

    def histogram(self) -> list[int]:
        """Return the number of logits between consecutive `HISTOGRAM_EDGES`; the outer ones count at the ends."""
        inner = np.clip(self.logits, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
        return [int(count) for count in np.histogram(inner, HISTOGRAM_EDGES)[0]]


@dataclass(frozen=True, slots=True)
class _Halves:
    """All halves, in increasing order of the subset of the last eight blocks, then of the first eight.

    The complement of entry i is entry -1 - i.
    """

    low: Whole
    """int64[256]: the subsets of the first eight blocks by their bits, by size; those of one size follow each other."""
    first: Whole
    """int64[10]: where each size starts in `low`."""
    inverse: Floats
    """float64[12870]: 1 / days."""
    factor: Floats
    """float64[12870]: (days - 1) / days^2."""

    @classmethod
    def of(cls, days: int) -> "_Halves":
        subsets = np.arange(1 << HALF)
        size = np.bitwise_count(subsets).astype(np.int64)
        low = np.argsort(size, kind="stable")
        first = np.searchsorted(size[low], np.arange(HALF + 2))
        sizes = np.diff(block_edges(days)).astype(np.float64)
        low_days, high_days = _subset_sums(sizes[:HALF])[low], _subset_sums(sizes[HALF:])
        count = np.concatenate(
            [
                high_days[high] + low_days[first[HALF - size[high]] : first[HALF - size[high] + 1]]
                for high in subsets
            ]
        )
        return cls(low, first, 1.0 / count, (count - 1.0) / count**2)

    def __len__(self) -> int:
        return len(self.inverse)


def estimate_overfitting(moments: Floats, days: int) -> Overfitting | None:
    """Estimate from the moments (float64[k, 16, 2], finite) of at least two trials; None for less, or too few days."""
    if len(moments) < FEWEST_TRIALS or days < FEWEST_DAYS:
        return None
    halves = _Halves.of(days)
    shape = (halves.low, halves.first, halves.inverse, halves.factor)
    chunks = np.array_split(np.arange(len(moments)), min(count_threads(), len(moments)))
    with ThreadPoolExecutor(len(chunks)) as pool:
        parts = list(pool.map(lambda rows: _best_of_halves(moments, rows, *shape), chunks))
        keys, best = parts[0]
        for other_keys, other_best in parts[1:]:
            # The earlier trial is the best of equals, however many threads there are.
            better = other_keys > keys
            keys, best = np.where(better, other_keys, keys), np.where(better, other_best, best)
        outside = _keys_outside(moments, best, halves)
        ranks = list(pool.map(lambda rows: _count_below(moments, rows, *shape, outside), chunks))
    below, equal = (np.sum([rank[i] for rank in ranks], axis=0) for i in (0, 1))
    relative = (below + (equal + 1) / 2) / (len(moments) + 1)
    logits = np.log(relative / (1.0 - relative))
    inside, outside = _ratio(keys), _ratio(outside)
    spread = float(np.var(inside))
    slope = (
        float(np.mean((inside - inside.mean()) * (outside - outside.mean())) / spread) if spread > 0 else None
    )
    return Overfitting(
        float(np.mean(logits < 0)), slope, float(np.mean(outside < 0)), logits, inside, outside
    )


@njit(cache=True, nogil=True)
def _subset_sums(values: np.ndarray) -> np.ndarray:
    """Return float64[256]: the sum of each subset of eight values, by the subset's bits."""
    sums = np.zeros(1 << values.size)
    for block in range(values.size):
        for subset in range(1 << block):
            sums[subset | (1 << block)] = sums[subset] + values[block]
    return sums


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_keys(
    moments: np.ndarray,
    low: np.ndarray,
    first: np.ndarray,
    inverse: np.ndarray,
    factor: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Write to `keys` (float64[halves]) the signed square of the Sharpe ratio of one trial in each half.

    It orders trials as the ratio does, without a square root. A half without variation has 0.
    """
    half = moments.shape[0] // 2
    low_sum, high_sum = _subset_sums(moments[:half, 0])[low], _subset_sums(moments[half:, 0])
    low_square, high_square = _subset_sums(moments[:half, 1])[low], _subset_sums(moments[half:, 1])
    i = 0
    for high in range(high_sum.size):
        size = 0
        for block in range(half):
            size += (high >> block) & 1
        start, stop = first[half - size], first[half - size + 1]
        end = i + stop - start
        # Parts of arrays and one index that starts at 0: the compiler then computes four halves at once.
        part, part_inverse, part_factor = keys[i:end], inverse[i:end], factor[i:end]
        part_sum, part_square = low_sum[start:stop], low_square[start:stop]
        for j in range(part.size):
            total = part_sum[j] + high_sum[high]
            squares = part_square[j] + high_square[high]
            deviations = squares - total * total * part_inverse[j]
            varies = deviations > 1e-12 * squares
            key = total * abs(total) * part_factor[j] / (deviations if varies else 1.0)
            part[j] = key if varies else 0.0
        i = end


@njit(cache=True, nogil=True)
def _best_of_halves(
    moments: np.ndarray,
    rows: np.ndarray,
    low: np.ndarray,
    first: np.ndarray,
    inverse: np.ndarray,
    factor: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest key in each half, and the first trial of `rows` that has it."""
    highest = np.full(inverse.size, -np.inf)
    best = np.zeros(inverse.size, np.int64)
    keys = np.empty(inverse.size)
    for row in rows:
        _fill_keys(moments[row], low, first, inverse, factor, keys)
        for i in range(keys.size):
            better = keys[i] > highest[i]
            highest[i] = keys[i] if better else highest[i]
            best[i] = row if better else best[i]
    return highest, best


def _keys_outside(moments: Floats, best: Whole, halves: _Halves) -> Floats:
    """Return float64[halves]: the key of each half's best trial in the other half."""
    outside, keys = np.empty(len(halves)), np.empty(len(halves))
    for trial in np.unique(best):
        _fill_keys(moments[trial], halves.low, halves.first, halves.inverse, halves.factor, keys)
        chosen = best == trial
        outside[chosen] = keys[::-1][chosen]
    return outside


@njit(cache=True, nogil=True)
def _count_below(
    moments: np.ndarray,
    rows: np.ndarray,
    low: np.ndarray,
    first: np.ndarray,
    inverse: np.ndarray,
    factor: np.ndarray,
    outside: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many trials of `rows` are below, and how many equal to, the key `outside` in each other half."""
    below, equal = np.zeros(inverse.size, np.int64), np.zeros(inverse.size, np.int64)
    keys = np.empty(inverse.size)
    of_complement = outside[::-1].copy()
    for row in rows:
        _fill_keys(moments[row], low, first, inverse, factor, keys)
        for i in range(keys.size):
            below[i] += keys[i] < of_complement[i]
            equal[i] += keys[i] == of_complement[i]
    return below[::-1], equal[::-1]


def _ratio(keys: Floats) -> Floats:
    return np.sign(keys) * np.sqrt(np.abs(keys))
