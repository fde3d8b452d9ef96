"""Pick fewer points that draw the same curve: Largest Triangle Three Buckets (Steinarsson 2013)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_POINTS = 5000


def pick_points(values: NDArray[np.float64], limit: int = MAX_POINTS) -> NDArray[np.int64]:
    """Return at most `limit` increasing indices whose points draw the curve of `values` (float64[n], finite)."""
    if len(values) <= limit:
        return np.arange(len(values))
    picked: NDArray[np.int64] = _largest_triangles(np.ascontiguousarray(values, dtype=np.float64), limit)
    return picked


@njit(cache=True)
def _largest_triangles(values: np.ndarray, limit: int) -> np.ndarray:
    n = values.size
    picked = np.empty(limit, np.int64)
    picked[0], picked[limit - 1] = 0, n - 1
    width = (n - 2) / (limit - 2)
    previous = 0
    for bucket in range(limit - 2):
        start = int(bucket * width) + 1
        end = int((bucket + 1) * width) + 1
        next_end = min(int((bucket + 2) * width) + 1, n)
        mean_x = (end + next_end - 1) / 2.0
        mean_y = values[end:next_end].mean() if next_end > end else values[n - 1]
        best, largest_area = start, -1.0
        for i in range(start, end):
            area = abs(
                (previous - mean_x) * (values[i] - values[previous])
                - (previous - i) * (mean_y - values[previous])
            )
            if area > largest_area:
                best, largest_area = i, area
        picked[bucket + 1] = best
        previous = best
    return picked
