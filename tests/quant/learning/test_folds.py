"""Folds: no interval of a training row touches one of a test row, and every row that may stay does."""

import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workers.learning.folds import (
    BadFolds,
    FoldRanges,
    combinatorial,
    group_ranges,
    paths,
    purged_fold,
    purged_kfold,
    walk_forward,
)
from workers.learning.splits import purged_split

Whole = NDArray[np.int64]


def rows_of(bars: int, horizon: int, symbols: int, seed: int) -> tuple[Whole, Whole]:
    """Return (time, end) of the rows of symbols with gaps; labels end at a bar of the same symbol."""
    generator = np.random.default_rng(seed)
    time, end = [], []
    for _ in range(symbols):
        own = np.sort(generator.choice(bars, size=bars * 3 // 4, replace=False))
        reach = np.arange(len(own)) + generator.integers(1, horizon + 1, len(own))
        time.append(own)
        end.append(own[np.minimum(reach, len(own) - 1)])
    return np.concatenate(time).astype(np.int64), np.concatenate(end).astype(np.int64)


def all_schemes(times: Whole) -> list[FoldRanges]:
    count = len(times)
    return [
        *walk_forward(times, count // 3, count // 5),
        *walk_forward(times, count // 4, count // 7, anchored=True),
        *purged_kfold(times, 4),
        *combinatorial(times, 6, 2),
    ]


@given(
    bars=st.integers(40, 120),
    horizon=st.integers(1, 12),
    embargo=st.integers(0, 15),
    symbols=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None)
def test_folds_equal_the_definition_row_by_row(
    bars: int, horizon: int, embargo: int, symbols: int, seed: int
) -> None:
    time, end = rows_of(bars, horizon, symbols, seed)
    times = np.unique(time)
    for ranges in all_schemes(times):
        fold = purged_fold(time, end, ranges, embargo)
        for row in range(len(time)):
            assert (row in fold.train) == stays(row, time, end, times, ranges, embargo)
        for row in fold.test:
            assert any(start <= time[row] and end[row] < stop for start, stop in ranges.test)
        # No interval of one part touches one of the other.
        train, test = (np.stack([time[part], end[part]]) for part in (fold.train, fold.test))
        assert not ((train[0][:, None] <= test[1]) & (test[0] <= train[1][:, None])).any()


def stays(row: int, time: Whole, end: Whole, times: Whole, ranges: FoldRanges, embargo: int) -> bool:
    """The rule of `purged_fold` for one row, by loops."""
    if not any(start <= time[row] < stop and end[row] < stop for start, stop in ranges.train):
        return False
    for start, stop in ranges.test:
        if time[row] < stop and end[row] >= start:
            return False
        following = times[times >= stop][:embargo]
        if time[row] in following:
            return False
    return True


def test_a_split_with_one_boundary_is_a_fold() -> None:
    time, end = rows_of(200, 7, 2, seed=5)
    split = purged_split(time, end, (0.6, 0.4, 0.0), embargo=9)
    first = split.boundaries[1]
    ranges = FoldRanges(((int(time.min()), first),), ((first, int(time.max()) + 1),))
    fold = purged_fold(time, end, ranges, embargo=9)
    np.testing.assert_array_equal(fold.train, split.train)
    # The split embargoes the later part, which it also trains from: the fold's test part starts at the boundary.
    assert set(split.validation) < set(fold.test)


def test_walk_forward_windows_follow_each_other() -> None:
    times = np.arange(100, dtype=np.int64) * 10
    rolling = walk_forward(times, 40, 15)
    assert [(fold.train[0], fold.test[0]) for fold in rolling][:2] == [
        ((0, 400), (400, 550)),
        ((150, 550), (550, 700)),
    ]
    assert len(rolling) == 4
    assert {fold.train[0][0] for fold in walk_forward(times, 40, 15, anchored=True)} == {0}
    for earlier, later in itertools.pairwise(rolling):
        assert earlier.test[0][1] == later.test[0][0]


def test_too_few_bars_for_the_windows_are_refused() -> None:
    times = np.arange(50, dtype=np.int64)
    with pytest.raises(BadFolds, match="at least 52 bars"):
        walk_forward(times, 45, 13)
    with pytest.raises(BadFolds, match="30 groups need at least 60 bars"):
        combinatorial(times, 30, 2)


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (8, 2), (5, 1), (6, 3)])
def test_every_path_passes_each_group_once_and_every_test_is_used_once(groups: int, tested: int) -> None:
    folds = list(itertools.combinations(range(groups), tested))
    found = paths(groups, tested)
    assert len(found) == tested * comb(groups, tested) // groups
    used = [(group, fold) for path in found for group, fold in enumerate(path)]
    assert len(set(used)) == len(used) == len(folds) * tested
    assert all(group in folds[fold] for group, fold in used)


def test_groups_cover_all_times_once() -> None:
    times = np.sort(np.random.default_rng(2).choice(10_000, 103, replace=False)).astype(np.int64)
    sizes = [int(((times >= start) & (times < stop)).sum()) for start, stop in group_ranges(times, 8)]
    assert sum(sizes) == 103
    assert max(sizes) - min(sizes) <= 1
