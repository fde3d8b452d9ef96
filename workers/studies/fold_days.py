"""The folds of a study's validation as days: on which days a fold tests, and on which a choice before it may look."""

import numpy as np
from numpy.typing import NDArray

from workers.learning.folds import END_OF_TIME, FoldRanges, Range, combinatorial, purged_kfold, walk_forward
from workers.studies.market import Market
from workers.studies.sections import CombinatorialPurged, PurgedKFold, Validation
from workers.studies.statistics.walk_forward import FoldDays

Flags = NDArray[np.bool_]


def fold_ranges(validation: Validation, times: NDArray[np.int64]) -> list[FoldRanges]:
    """Return the folds as times; `times`: distinct opening times of the bars. Raises BadFolds."""
    if isinstance(validation, CombinatorialPurged):
        return combinatorial(times, validation.groups, validation.test_groups)
    if isinstance(validation, PurgedKFold):
        return purged_kfold(times, validation.folds)
    return walk_forward(times, validation.train, validation.test, anchored=validation.anchored)


def fold_days(validation: Validation, market: Market) -> list[FoldDays]:
    """Return the folds as days. A day belongs to the range that contains its last bar. Raises BadFolds."""
    folds = []
    for ranges in fold_ranges(validation, market.times):
        test = days_in(ranges.test, market)
        folds.append(FoldDays(days_in(ranges.train, market) & ~test, test))
    return folds


def days_in(ranges: tuple[Range, ...], market: Market) -> Flags:
    """Return bool[days]: the days whose last bar opens in one of the ranges."""
    ends = market.day_ends
    inside = np.zeros(len(ends), np.bool_)
    for start, stop in ranges:
        inside |= (ends >= start) & ((ends < stop) | (stop == END_OF_TIME))
    return inside
