"""Parts never overlap: no label of one part reaches into the next."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.learning.splits import TooShort, purged_split


@given(
    bars=st.integers(60, 300),
    horizon=st.integers(1, 10),
    embargo=st.integers(0, 10),
    symbols=st.integers(1, 4),
    fractions=st.sampled_from([(0.7, 0.15, 0.15), (0.6, 0.4, 0.0), (0.34, 0.33, 0.33)]),
)
@settings(max_examples=150, deadline=None)
def test_no_window_of_one_part_overlaps_another(
    bars: int, horizon: int, embargo: int, symbols: int, fractions: tuple[float, float, float]
) -> None:
    """Lesson Q25: [time, end] intervals of different parts are disjoint, across all symbols."""
    generator = np.random.default_rng(bars * 31 + horizon)
    time, end = [], []
    for _ in range(symbols):
        own = np.sort(generator.choice(bars, size=max(50, bars * 3 // 4), replace=False))
        time.append(own)
        end.append(own[np.minimum(np.arange(len(own)) + horizon + 1, len(own) - 1)])
    at, until = np.concatenate(time).astype(np.int64), np.concatenate(end).astype(np.int64)
    try:
        split = purged_split(at, until, fractions, embargo)
    except TooShort:
        return
    parts = [split.train, split.validation, split.test]
    for earlier, later in pairwise(parts):
        if len(later):
            assert until[earlier].max() < at[later].min()
    used = sum(len(part) for part in parts)
    assert used + split.purged == len(at)
    assert len(np.unique(np.concatenate(parts))) == used


def test_boundaries_are_the_same_times_for_all_symbols() -> None:
    """Lesson Q28: a split by row number would put one symbol's past into another's future."""
    time = np.concatenate([np.arange(100), np.arange(50, 100)]).astype(np.int64)
    split = purged_split(time, time, (0.5, 0.25, 0.25))
    assert time[split.train].max() == 49
    assert set(time[split.validation]) == set(range(50, 75))
    assert len(split.validation) == 50


def test_the_embargo_is_left_out_after_each_boundary() -> None:
    time = np.arange(100, dtype=np.int64)
    split = purged_split(time, time, (0.5, 0.25, 0.25), embargo=5)
    assert split.validation[0] == 55
    assert split.test[0] == 80
    assert split.purged == 10


def test_an_empty_part_gives_a_clear_error() -> None:
    time = np.arange(10, dtype=np.int64)
    with pytest.raises(TooShort, match="The train part is empty: 10 bars are too few"):
        purged_split(time, time + 8, (0.7, 0.15, 0.15))
    with pytest.raises(TooShort, match="Nothing to split"):
        purged_split(time[:0], time[:0], (0.7, 0.15, 0.15))
