"""Compiled passes over equity and returns, with at most one temporary array: clearing those took most of the time.

Sums are added in numpy's order (pairwise, Higham 1993), so every figure equals that of the plain expression to the bit.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 128
"""numpy adds up to this many values in eight partial sums, and halves longer arrays."""


class Falls(NamedTuple):
    """The falls of a curve from its peaks."""

    deepest: float
    """Largest fall as a negative fraction of the peak; 0 if there is none."""
    first: int
    """First value of the longest time below a peak."""
    last: int
    """Last value of it; before `first` if there is none."""


@njit(cache=True, nogil=True, error_model="numpy")
def find_falls(values: np.ndarray, start: float) -> Falls:
    """Return the falls of `values` (float64[n]) from their peaks, of which the first is `start`.

    Only a new lowest value since the peak can be the deepest, so hardly any value needs a division.
    """
    peak = start
    lowest = np.inf
    deepest = 0.0
    at_peak, first, last = -1, 0, -1
    n = values.size
    for t in range(n):
        value = values[t]
        if value >= peak or peak < 0.0:  # a value below a negative peak is not a negative fraction of it
            if t - at_peak - 2 > last - first:
                first, last = at_peak + 1, t - 1
            at_peak = t
            peak = max(peak, value)
            lowest = np.inf
        elif value < lowest:
            lowest = value
            deepest = min(deepest, value / peak - 1.0)
    if n - at_peak - 2 > last - first:
        first, last = at_peak + 1, n - 1
    return Falls(deepest, first, last)


@njit(cache=True, nogil=True)
def growth_moments(marks: np.ndarray, start: float) -> tuple[float, float]:
    """Return the mean of the growth rates from each mark to the next, and the sum of the squared distances from it.

    `marks`: float64[n], n > 0; `start` is the mark before the first one. The growth from a mark that is not positive is 0.
    """
    growth = np.empty(marks.size)
    _fill_growth(growth, marks, start)
    return _overwrite_by_squares(growth)


@njit(cache=True, nogil=True)
def mean_and_squares(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of `values` (float64[n], n > 0), and the sum of the squared distances from it."""
    return _overwrite_by_squares(values.copy())


@njit(cache=True, nogil=True)
def _overwrite_by_squares(values: np.ndarray) -> tuple[float, float]:
    n = values.size
    steps = _plan_sum(n)
    mean = _sum_values(values, steps) / n
    for i in range(n):
        values[i] = (values[i] - mean) * (values[i] - mean)
    return mean, _sum_values(values, steps)


class Account(NamedTuple):
    """Figures of an account at each bar."""

    mean: float
    """Of its equity."""
    deepest: float
    """Largest fall of its equity, as in `Falls`."""
    exposed: int
    """Bars with a position."""


@njit(cache=True, nogil=True)
def summarize_account(equity: np.ndarray, position: np.ndarray, start: float) -> Account:
    """Return the figures of an account with `equity` and `position` (float64[n] both, n > 0) and initial equity `start`."""
    exposed = 0
    for held in position:
        exposed += 1 if held != 0.0 else 0
    mean = _sum_values(equity, _plan_sum(equity.size)) / equity.size
    return Account(mean, find_falls(equity, start).deepest, exposed)


@njit(cache=True, nogil=True)
def returns_of_periods(equity: np.ndarray, ends: np.ndarray, start: float) -> np.ndarray:
    """Return float64[k]: what `Periods.returns` gives of `equity` (float64[n]) with the initial capital `start`.

    `ends`: intp[k], k > 0, the last bar of each period.
    """
    marks, growth = np.empty(ends.size), np.empty(ends.size)
    for i in range(ends.size):
        marks[i] = equity[ends[i]]
    _fill_growth(growth, marks, start)
    return growth


@njit(cache=True, nogil=True)
def fall_and_growth(marks: np.ndarray, start: float) -> tuple[float, float, float]:
    """Return the deepest fall (`find_falls`), and the mean and the sum of squares of `growth_moments`, in one call."""
    mean, squares = growth_moments(marks, start)
    return find_falls(marks, start).deepest, mean, squares


@njit(cache=True, nogil=True)
def _plan_sum(n: int) -> np.ndarray:
    """Return the steps of numpy's sum of `n` values: a length adds up the next values, 0 adds the last two sums.

    A list of steps, because numba cannot load a recursive function from its cache.
    """
    steps = np.empty(n // 16 + 8, np.int64)
    waiting = np.empty(128, np.int64)
    waiting[0], count, top = n, 0, 1
    while top > 0:
        top -= 1
        length = waiting[top]
        if length <= _BLOCK:
            steps[count] = length
            count += 1
        else:
            half = length // 2
            half -= half % 8
            waiting[top], waiting[top + 1], waiting[top + 2] = 0, length - half, half
            top += 3
    return steps[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_growth(growth: np.ndarray, marks: np.ndarray, start: float) -> None:
    """Write the growth to each mark; float64[n] both. The two loops without a branch use vector instructions."""
    bad = 0  # an integer, because a sum of flags uses vector instructions
    for mark in marks:
        bad += 0 if mark > 0.0 else 1
    growth[0] = marks[0] / start - 1.0
    earlier, later, rest = marks[:-1], marks[1:], growth[1:]
    for i in range(rest.size):
        rest[i] = later[i] / earlier[i] - 1.0
    if bad > 0 or not start > 0.0:
        growth[0] = growth[0] if start > 0.0 else 0.0
        for i in range(rest.size):
            rest[i] = rest[i] if earlier[i] > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _sum_block(values: np.ndarray, first: int, n: int) -> float:
    """Add up at most 128 values as numpy does."""
    if n < 8:
        few = -0.0
        for i in range(first, first + n):
            few += values[i]
        return few
    a, b, c, d = values[first], values[first + 1], values[first + 2], values[first + 3]
    e, f, g, h = values[first + 4], values[first + 5], values[first + 6], values[first + 7]
    whole = n - n % 8
    for i in range(first + 8, first + whole, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total: float = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first + whole, first + n):
        total += values[i]
    return total


@njit(cache=True, nogil=True)
def _sum_values(values: np.ndarray, steps: np.ndarray) -> float:
    sums = np.empty(64)
    first = top = 0
    for length in steps:
        if length == 0:
            top -= 1
            sums[top - 1] += sums[top]
            continue
        sums[top] = _sum_block(values, first, length)
        first += length
        top += 1
    total: float = 0.0 + sums[0]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def resample_blocks(returns: np.ndarray, starts: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Sharpe ratio per period and the maximum drawdown of each resample; float64[rounds] both.

    `returns`: float64[n], n >= `block`; `starts`: int64[rounds, blocks], the first return of each block, around the end
    of `returns`. A resample whose returns do not vary has the ratio 0.
    """
    n, rounds = returns.size, starts.shape[0]
    ratios, drawdowns = np.zeros(rounds), np.zeros(rounds)
    around = np.concatenate((returns, returns[:block]))
    sample, squares, steps = np.empty(n), np.empty(n), _plan_sum(n)
    for i in range(rounds):
        for k in range(starts.shape[1]):
            first, length = starts[i, k], min(block, n - k * block)
            for j in range(length):
                sample[k * block + j] = around[first + j]
        mean = _sum_values(sample, steps) / n
        for j in range(n):
            squares[j] = (sample[j] - mean) * (sample[j] - mean)
        deviation = np.sqrt(_sum_values(squares, steps) / (n - 1))
        if deviation > 0.0:
            ratios[i] = mean / deviation
        drawdowns[i] = _compounded_drawdown(sample)
    return ratios, drawdowns


@njit(cache=True, nogil=True, error_model="numpy")
def _compounded_drawdown(returns: np.ndarray) -> float:
    curve = peak = 1.0
    lowest = np.inf
    deepest = 0.0
    for value in returns:
        curve *= 1.0 + value
        if curve >= peak:
            peak = curve
            lowest = np.inf
        elif curve < lowest:
            lowest = curve
            deepest = min(deepest, curve / peak - 1.0)
    return deepest
