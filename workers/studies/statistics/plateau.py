"""Is the winner on a plateau or on a needle? A parameter that matters only at one exact value is luck."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEEDLE = 0.5
"""Below this share of the winner's value, the neighbours do not support it."""
NEIGHBOURS = 8
FEWEST_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class Plateau:
    ratio: float
    """Median of the neighbours' values over the winner's."""
    neighbours: tuple[int, ...]
    """Their trial numbers, the nearest first."""

    @property
    def is_needle(self) -> bool:
        return self.ratio < NEEDLE


def measure_plateau(
    points: Sequence[Mapping[str, Any]], values: Floats, numbers: Sequence[int], winner: int
) -> Plateau | None:
    """Compare the winner (a position in `points`) with the nearest other points.

    `values`: float64[k], NaN for trials without a value, which count as 0. None if the winner's value is not above 0,
    or there are too few other points. Coordinates are ranks among the values tried, in units of the whole range;
    choices without an order differ by one whole range.
    """
    best = float(values[winner])
    if len(points) <= FEWEST_NEIGHBOURS or not best > 0:
        return None
    distance = _distances(points, winner)
    distance[winner] = math.inf
    nearest = np.argsort(distance, kind="stable")[: min(NEIGHBOURS, len(points) - 1)]
    others = np.where(np.isnan(values[nearest]), 0.0, values[nearest])
    return Plateau(float(np.median(others)) / best, tuple(numbers[int(i)] for i in nearest))


def _distances(points: Sequence[Mapping[str, Any]], winner: int) -> Floats:
    """Return float64[k]: the Euclidean distance of each point to the winner."""
    squared = np.zeros(len(points))
    for pointer in points[winner]:
        squared += _coordinate_distances([point.get(pointer) for point in points], winner) ** 2
    return np.sqrt(squared)


def _coordinate_distances(values: Sequence[Any], winner: int) -> Floats:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        distinct, rank = np.unique(np.array(values, dtype=np.float64), return_inverse=True)
        steps: Floats = np.abs(rank - rank[winner]) / max(1, len(distinct) - 1)
        return steps
    own = repr(values[winner])
    return np.array([0.0 if repr(value) == own else 1.0 for value in values])
