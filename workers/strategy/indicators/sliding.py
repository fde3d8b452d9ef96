"""Statistics of the last `window` values, compiled by numba. A window with a missing value (NaN) has none.

Each result depends only on the values of its own window: rounding does not accumulate over the rows, and a NaN or an
extreme value does not affect the windows after it. The rows are divided into blocks of `window` rows; every window is the end
of one block and the start of the next (van Herk 1992), so the time does not depend on the length of the window.
"""

import numba
import numpy as np

from workers.strategy.indicators.columns import Floats


@numba.njit(cache=True, nogil=True)
def sliding_highest(values: Floats, window: int) -> Floats:
    """Largest of the last `window` values; NaN before the first complete window."""
    n = len(values)
    from_start, to_end = np.empty(n), np.empty(n)
    for i in range(n):
        x = values[i]
        previous = from_start[i - 1] if i % window else x
        from_start[i] = x if x > previous or np.isnan(x) else previous
    for i in range(n - 1, -1, -1):
        x = values[i]
        following = to_end[i + 1] if (i + 1) % window and i + 1 < n else x
        to_end[i] = x if x > following or np.isnan(x) else following
    highest = np.full(n, np.nan)
    for i in range(window - 1, n):
        left, right = to_end[i - window + 1], from_start[i]
        highest[i] = left if left > right or np.isnan(left) else right
    return highest


@numba.njit(cache=True, nogil=True)
def sliding_lowest(values: Floats, window: int) -> Floats:
    """Smallest of the last `window` values; NaN before the first complete window."""
    return -sliding_highest(-values, window)


@numba.njit(cache=True, nogil=True)
def sliding_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values; NaN before the first complete window."""
    n = len(values)
    left_means, _ = _moments_to_end(values, window)
    right_means, _ = _moments_from_start(values, window)
    means = np.full(n, np.nan)
    for i in range(window - 1, n):
        right = (i + 1) % window
        means[i] = right_means[i]
        if right:
            left_mean = left_means[i - window + 1]
            means[i] = left_mean + (right_means[i] - left_mean) * right / window
    return means


@numba.njit(cache=True, nogil=True)
def sliding_deviation(values: Floats, window: int) -> Floats:
    """Sample standard deviation (ddof 1) of the last `window` values; NaN before the first complete window.

    The two parts of a window are combined as by Chan, Golub and LeVeque (1979).
    """
    n = len(values)
    left_means, left_squares = _moments_to_end(values, window)
    right_means, right_squares = _moments_from_start(values, window)
    deviations = np.full(n, np.nan)
    for i in range(window - 1, n):
        right = (i + 1) % window
        squares = right_squares[i]
        if right:
            first = i - window + 1
            distance = left_means[first] - right_means[i]
            squares += left_squares[first] + distance * distance * right * (window - right) / window
        deviations[i] = np.sqrt(squares / (window - 1))
    return deviations


@numba.njit(cache=True, nogil=True)
def _moments_from_start(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Mean and squared distances from it, of the rows from the start of a block to each row (Welford 1962)."""
    n = len(values)
    means, squares = np.empty(n), np.empty(n)
    mean = total = 0.0
    for i in range(n):
        if i % window == 0:
            mean = total = 0.0
        step = values[i] - mean
        mean += step / (i % window + 1)
        total += step * (values[i] - mean)
        means[i], squares[i] = mean, total
    return means, squares


@numba.njit(cache=True, nogil=True)
def _moments_to_end(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Mean and squared distances from it, of the rows from each row to the end of its block."""
    n = len(values)
    means, squares = np.empty(n), np.empty(n)
    mean = total = 0.0
    count = 0
    for i in range(n - 1, -1, -1):
        if i == n - 1 or (i + 1) % window == 0:
            mean = total = 0.0
            count = 0
        count += 1
        step = values[i] - mean
        mean += step / count
        total += step * (values[i] - mean)
        means[i], squares[i] = mean, total
    return means, squares
