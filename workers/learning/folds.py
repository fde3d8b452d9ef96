"""Folds: pairs of training rows and test rows, such that nothing a training row depends on lies in the test part.

Lopez de Prado (2018), chapters 7 (purging and embargo) and 12 (combinatorial purged cross-validation). Ranges are
half-open and in nanoseconds since 1970; they are the same for every symbol.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput

Nanoseconds = NDArray[np.int64]
Rows = NDArray[np.intp]
Range = tuple[int, int]
"""First time, and first time after the range."""

END_OF_TIME = int(np.iinfo(np.int64).max)


class BadFolds(InvalidInput):
    """The data are too short for these folds."""


NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class FoldRanges:
    """The times of one fold, in order; embargo and purging come on top."""

    train: tuple[Range, ...]
    test: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers in the order of the rows."""

    train: Rows
    test: Rows
    purged: int
    """Rows inside the ranges that are left out: their label reaches out of its range, or they lie in the embargo."""


def rows_within(time: Nanoseconds, end: Nanoseconds, start: int, stop: int) -> Rows:
    """Return the rows whose whole interval [time, end] lies in the range from `start` to before `stop`."""
    return np.flatnonzero((time >= start) & (time < stop) & (end < stop))


def purged_fold(time: Nanoseconds, end: Nanoseconds, ranges: FoldRanges, embargo: int) -> Fold:
    """Return the training and test rows of a fold.

    `time`, `end`: int64[n], of each row's bar and of the last bar that its label depends on. A training row stays if
    [time, end] meets no test range and the row does not lie within `embargo` distinct times after one: there its inputs
    still look into the test range. Use at least the longest of label horizon, lookback and sequence length.
    A test row stays if its label ends in its own test range. Either part is empty if nothing stays.
    """
    times = np.unique(time)
    embargoed = [_after(times, stop, embargo) for _, stop in ranges.test]
    train = [
        rows_within(time, end, start, stop)
        for outer in ranges.train
        for start, stop in _without(outer, ranges.test, embargoed)
    ]
    test = [rows_within(time, end, start, stop) for start, stop in ranges.test]
    inside = sum(int(np.count_nonzero((time >= a) & (time < b))) for a, b in (*ranges.train, *ranges.test))
    rows_of_train, rows_of_test = (np.sort(np.concatenate((NO_ROWS, *parts))) for parts in (train, test))
    return Fold(rows_of_train, rows_of_test, inside - len(rows_of_train) - len(rows_of_test))


def _after(times: Nanoseconds, stop: int, embargo: int) -> int:
    """Return the first time after `embargo` distinct times from `stop` on."""
    at = int(np.searchsorted(times, stop)) + embargo
    return int(times[at]) if at < len(times) else END_OF_TIME


def _without(outer: Range, test: Sequence[Range], embargoed: Sequence[int]) -> list[Range]:
    """Return the parts of `outer` outside the test ranges, each of which extends to its `embargoed` time."""
    parts, start = [], outer[0]
    for (first, _), opens in sorted(zip(test, embargoed, strict=True)):
        if start < min(first, outer[1]):
            parts.append((start, min(first, outer[1])))
        start = max(start, opens)
    if start < outer[1]:
        parts.append((start, outer[1]))
    return parts


def walk_forward(times: Nanoseconds, train: int, test: int, *, anchored: bool = False) -> list[FoldRanges]:
    """Return consecutive folds: `train` bars of training, then `test` bars of test, the next fold `test` bars later.

    `times`: distinct times of the bars, increasing. `anchored` training ranges start at the first bar. The last test
    range may be shorter, but has at least half of its bars. Raises BadFolds.
    """
    count = len(times)
    if train < 1 or test < 1 or count < train + -(-test // 2):
        raise BadFolds(
            f"Walk-forward validation needs at least {train + -(-test // 2):,} bars for training windows of {train:,} "
            f"and test windows of {test:,}, but the data have {count:,}."
        )
    folds = []
    for first in range(train, count, test):
        if count - first < -(-test // 2):
            break
        start = 0 if anchored else first - train
        folds.append(
            FoldRanges(
                ((int(times[start]), int(times[first])),), ((int(times[first]), _edge(times, first + test)),)
            )
        )
    return folds


def purged_kfold(times: Nanoseconds, folds: int) -> list[FoldRanges]:
    """Return `folds` folds whose test ranges follow each other and cover all times. Raises BadFolds."""
    return combinatorial(times, folds, 1)


def combinatorial(times: Nanoseconds, groups: int, test_groups: int) -> list[FoldRanges]:
    """Return a fold for each choice of `test_groups` of `groups` ranges of equally many times. Raises BadFolds."""
    ranges = group_ranges(times, groups)
    everything = (ranges[0][0], ranges[-1][1])
    return [
        FoldRanges((everything,), tuple(ranges[group] for group in chosen))
        for chosen in itertools.combinations(range(groups), test_groups)
    ]


def group_ranges(times: Nanoseconds, groups: int) -> list[Range]:
    """Divide the times into ranges whose numbers of times differ by at most one. Raises BadFolds."""
    if len(times) < 2 * groups:
        raise BadFolds(f"{groups} groups need at least {2 * groups} bars, but the data have {len(times):,}.")
    edges = [round(group * len(times) / groups) for group in range(groups + 1)]
    return [(_edge(times, first), _edge(times, stop)) for first, stop in itertools.pairwise(edges)]


def _edge(times: Nanoseconds, position: int) -> int:
    return int(times[position]) if position < len(times) else END_OF_TIME


def paths(groups: int, test_groups: int) -> list[tuple[int, ...]]:
    """Return the paths of a combinatorial cross-validation: for each path, the fold that tests each group.

    There are test_groups * C(groups, test_groups) / groups paths; each test of a group in a fold is in exactly one.
    """
    tested_by: list[list[int]] = [[] for _ in range(groups)]
    for fold, chosen in enumerate(itertools.combinations(range(groups), test_groups)):
        for group in chosen:
            tested_by[group].append(fold)
    count = test_groups * comb(groups, test_groups) // groups
    return [tuple(tested_by[group][path] for group in range(groups)) for path in range(count)]
