"""The evidence of a study's trials is the same to the bit, however they are divided into batches and interrupted."""

import itertools
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workers.studies.running_evidence import BLOCK, RunningEvidence
from workers.studies.statistics.snooping import SnoopingTest
from workers.studies.statistics.walk_forward import FoldDays, Selection

DAYS, TRIALS, SEED = 90, 2 * BLOCK + 40, 3


def folds() -> list[FoldDays]:
    """Return two windows, each with the days before it."""
    day = np.arange(DAYS)
    return [FoldDays(day < at, (day >= at) & (day < at + 20)) for at in (40, 60)]


def trials() -> NDArray[np.float64]:
    """Return float64[trials, days], of which some do not trade and two are the best and equal."""
    returns = np.random.default_rng(1).normal(0.0, 0.01, (TRIALS, DAYS))
    returns[5:9] = 0.0
    returns[[60, BLOCK + 7]] = returns[60] + 0.02
    return returns


RETURNS = trials()


def evidence_of(numbers: list[int]) -> RunningEvidence:
    evidence = RunningEvidence.of(DAYS, SEED, folds())
    evidence.add_all((number, RETURNS[number]) for number in numbers)
    return evidence


WHOLE = evidence_of(list(range(TRIALS)))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(1, TRIALS - 1), max_size=6, unique=True),
    st.randoms(use_true_random=False),
    st.integers(0, 40),
)
def test_any_division_into_batches_gives_the_same_evidence(
    borders: list[int], random: Random, saved: int
) -> None:
    edges = [0, *sorted(borders), TRIALS]
    batches = [list(range(first, stop)) for first, stop in itertools.pairwise(edges)]
    random.shuffle(batches)
    merged = RunningEvidence.of(DAYS, SEED, folds())
    for numbers in batches:
        before = evidence_of(numbers[:saved])  # a checkpoint, from which another process continues
        resumed = RunningEvidence.of(DAYS, SEED, folds())
        assert resumed.merge(before.to_bytes())
        resumed.add_all((number, RETURNS[number]) for number in numbers[saved:])
        assert merged.merge(resumed.to_bytes())
    assert merged.to_bytes() == WHOLE.to_bytes()


def test_the_evidence_is_that_of_all_returns_at_once() -> None:
    test, selection = SnoopingTest(DAYS, SEED), Selection.of(folds())
    test.add(RETURNS)
    selection.add(np.arange(TRIALS), RETURNS)
    found, expected = WHOLE.test.result(), test.result()
    assert found is not None
    assert expected is not None
    assert (found.reality_check_p, found.spa_p, found.trials) == (
        expected.reality_check_p,
        expected.spa_p,
        TRIALS,
    )
    np.testing.assert_allclose(found.expected_best, expected.expected_best, rtol=1e-6)
    assert WHOLE.selection.best.tolist() == selection.best.tolist()
    assert 60 in selection.best  # of two equal trials the first
    np.testing.assert_allclose(WHOLE.selection.ratio, selection.ratio, rtol=1e-12)


def test_evidence_of_other_folds_is_refused() -> None:
    assert not RunningEvidence.of(DAYS, SEED, folds()[:1]).merge(WHOLE.to_bytes())
