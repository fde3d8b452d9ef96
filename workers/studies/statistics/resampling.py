"""The stationary bootstrap (Politis and Romano 1994) of many trials at a time.

A block of a resample is a difference of two sums of the returns before a day, so 5,000 days in blocks of 17 are 600 rows to
add for each resample. Neighbours in memory are the same day of `LANES` trials. The figures of a trial are the same to the bit
in any lane.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

LANES = 32
"""Trials at a time: their sums (64 kB for each 500 days) remain in a processor's cache."""
REACH = 40
"""Lags in mean lengths of a block; the weight of a later day is below 1e-17."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """The blocks of all resamples, one after the other."""

    first: NDArray[np.uint32]
    """uint32[blocks]: first day of each block."""
    stop: NDArray[np.uint32]
    """uint32[blocks]: day after its last one; the days are a circle."""
    offsets: NDArray[np.int64]
    """int64[rounds + 1]: the blocks of resample i are those from `offsets[i]` on."""

    @classmethod
    def draw(cls, days: int, block: int, rounds: int, seed: int) -> "Resamples":
        """Draw resamples of `days` days. The lengths of blocks are geometric with mean `block`; the last one is cut."""
        generator = np.random.default_rng(seed)
        # More blocks than a resample ever needs: their number is binomial, six deviations above its mean.
        blocks = min(days, math.ceil(days / block + 6.0 * math.sqrt(days / block)) + 1)
        starts = generator.integers(0, days, (rounds, blocks))
        lengths = generator.geometric(1.0 / block, (rounds, blocks))
        lengths[:, -1] = days
        ends = np.minimum(np.cumsum(lengths, axis=1), days)
        lengths = np.diff(ends, axis=1, prepend=0)
        is_used = lengths > 0
        first, stop = starts[is_used], (starts + lengths)[is_used] % days
        offsets = np.append(0, np.cumsum(is_used.sum(axis=1)))
        return cls(first.astype(np.uint32), stop.astype(np.uint32), offsets)


@dataclass(frozen=True, slots=True)
class Lanes:
    """`LANES` trials without their means; arrays of LANES but for `before`."""

    before: Singles
    """float32[days, LANES]: sum of the returns before each day."""
    spread: Floats
    """Standard deviation of the daily returns, ddof 1."""
    deviation: Floats
    """Of sqrt(days) times the mean, under the bootstrap."""

    @classmethod
    def of(cls, returns: Floats, mean: Floats, rows: NDArray[np.intp], block: int) -> "Lanes":
        """Take the trials `rows` (intp[LANES]) of `returns` (float64[k, days]) with means `mean` (float64[k]).

        The deviation is exact (Politis and Romano 1994, eq. 9).
        """
        days = returns.shape[1]
        before = np.empty((days, LANES), np.float32)
        squares, lagged = np.zeros(LANES), np.zeros(LANES)
        _sum_lanes(returns, mean, rows, 1.0 - 1.0 / block, REACH * block, before, squares, lagged)
        variance = np.maximum((squares + 2.0 * lagged) / days, 0.0)
        return cls(before, np.sqrt(squares / (days - 1)), np.sqrt(variance))


@njit(cache=True, nogil=True)
def _sum_lanes(
    returns: np.ndarray,
    mean: np.ndarray,
    rows: np.ndarray,
    decay: float,
    reach: int,
    before: np.ndarray,
    squares: np.ndarray,
    lagged: np.ndarray,
) -> None:
    """Write the sums before each day, and add up the squares and the products with all earlier days around the circle.

    The product of day t with day t - lag has the weight (1 - lag / n) decay^lag. `near` and `far` are the sums of decay^lag r and
    lag decay^lag r over the lags 1 to n - 1; both follow from those of the day before.
    """
    n, lanes = returns.shape[1], rows.size
    near, far, total = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    today, tomorrow = np.empty(lanes), np.empty(lanes)
    around = decay ** (n - 1)
    for t in range(max(1, n - reach), n):
        for j in range(lanes):
            today[j] = returns[rows[j], t] - mean[rows[j]]
        for j in range(lanes):
            far[j] = decay * (far[j] + near[j] + today[j])
            near[j] = decay * (near[j] + today[j])
    for j in range(lanes):
        today[j] = returns[rows[j], 0] - mean[rows[j]]
    for t in range(n):
        later = t + 1 if t + 1 < n else 0
        for j in range(lanes):
            tomorrow[j] = returns[rows[j], later] - mean[rows[j]]
        row = before[t]
        for j in range(lanes):
            row[j] = total[j]
            total[j] += today[j]
            squares[j] += today[j] * today[j]
            lagged[j] += today[j] * (near[j] - far[j] / n)
        for j in range(lanes):
            far[j] = decay * (far[j] + near[j] + today[j] - n * around * tomorrow[j])
            near[j] = decay * (near[j] + today[j] - around * tomorrow[j])
            today[j] = tomorrow[j]


@njit(cache=True, nogil=True)
def raise_maxima(
    before: np.ndarray,
    first: np.ndarray,
    stop: np.ndarray,
    offsets: np.ndarray,
    shift: np.ndarray,
    deviation: np.ndarray,
    spread: np.ndarray,
    highest: np.ndarray,
) -> None:
    """Raise `highest` (float32[3, rounds]) to the highest figures of the trials in each resample.

    The resampled mean of centred returns; that plus `shift` by `deviation`; that by `spread`. Arrays of float32[LANES].
    """
    days, lanes = np.float32(before.shape[0]), before.shape[1]
    mean, studentised, ratio = (
        np.empty(lanes, np.float32),
        np.empty(lanes, np.float32),
        np.empty(lanes, np.float32),
    )
    for i in range(offsets.size - 1):
        _sum_blocks(before, first[offsets[i] : offsets[i + 1]], stop[offsets[i] : offsets[i + 1]], mean)
        for j in range(lanes):
            mean[j] /= days
            studentised[j] = (mean[j] + shift[j]) / deviation[j]
            ratio[j] = mean[j] / spread[j]
        for figure, values in enumerate((mean, studentised, ratio)):
            for value in values:
                if value > highest[figure, i]:
                    highest[figure, i] = value


@njit(cache=True, nogil=True)
def _sum_blocks(before: np.ndarray, first: np.ndarray, stop: np.ndarray, total: np.ndarray) -> None:
    """Write the sum of the returns of all blocks to `total`; four blocks at a time, as loops over few lanes start slowly."""
    total[:] = 0.0
    whole = first.size - first.size % 4
    for k in range(0, whole, 4):
        a, b, c, d = before[stop[k]], before[stop[k + 1]], before[stop[k + 2]], before[stop[k + 3]]
        e, f, g, h = before[first[k]], before[first[k + 1]], before[first[k + 2]], before[first[k + 3]]
        for j in range(LANES):
            total[j] += ((a[j] - e[j]) + (b[j] - f[j])) + ((c[j] - g[j]) + (d[j] - h[j]))
    for k in range(whole, first.size):
        a, e = before[stop[k]], before[first[k]]
        for j in range(LANES):
            total[j] += a[j] - e[j]
