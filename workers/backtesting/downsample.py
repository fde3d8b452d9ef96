"""Fewer points that look the same: Largest Triangle Three Buckets (Steinarsson 2013)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

MOST_POINTS = 5000


def keep(values: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Indices, at most `most` of them and increasing, whose points draw the curve of `values` (float64[n], finite)."""
    if len(values) <= most:
        return np.arange(len(values))
    picked: NDArray[np.int64] = _largest_triangles(np.ascontiguousarray(values, dtype=np.float64), most)
    return picked


@njit(cache=True)
def _largest_triangles(values: np.ndarray, most: int) -> np.ndarray:
    n = values.size
    picked = np.empty(most, np.int64)
    picked[0], picked[most - 1] = 0, n - 1
    width = (n - 2) / (most - 2)
    before = 0
    for bucket in range(most - 2):
        begin = int(bucket * width) + 1
        end = int((bucket + 1) * width) + 1
        after = min(int((bucket + 2) * width) + 1, n)
        mean_x = (end + after - 1) / 2.0
        mean_y = values[end:after].mean() if after > end else values[n - 1]
        best, area = begin, -1.0
        for i in range(begin, end):
            size = abs(
                (before - mean_x) * (values[i] - values[before]) - (before - i) * (mean_y - values[before])
            )
            if size > area:
                best, area = i, size
        picked[bucket + 1] = best
        before = best
    return picked
