"""The statistics of a study against plain implementations of the papers, and on data whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.quant.studies import plain_statistics as plain
from workers.studies.messages import Verdict
from workers.studies.statistics.deflation import deflate
from workers.studies.statistics.moments import block_edges, block_moments, sharpes
from workers.studies.statistics.overfitting import estimate_overfitting
from workers.studies.statistics.plateau import measure_plateau
from workers.studies.statistics.resampling import LANES, Resamples
from workers.studies.statistics.snooping import SnoopingTest, long_run_variance
from workers.studies.statistics.verdict import Evidence, judge

Floats = NDArray[np.float64]


def noise(trials: int, days: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.01, (trials, days))


def test_the_ratio_of_the_moments_is_that_of_the_returns() -> None:
    returns = noise(20, 333)
    returns[3] = 0.0
    expected = [plain.sharpe(trial) for trial in returns]
    np.testing.assert_allclose(sharpes(block_moments(returns), 333), expected, atol=1e-12)
    assert block_edges(333).tolist()[:3] == [0, 21, 42]
    assert block_edges(333)[-1] == 333


def test_overfitting_equals_the_plain_definition() -> None:
    days = 165  # unequal blocks
    returns = noise(4, days, seed=days)
    returns[1] = returns[0]  # a tie in every half
    returns[2] = 0.0  # a trial that never traded
    estimate = estimate_overfitting(block_moments(returns), days)
    assert estimate is not None
    logits, inside, outside = plain.overfitting(returns)
    # Both list all halves, in other orders.
    np.testing.assert_allclose(np.sort(estimate.logits), np.sort(logits), atol=1e-9)
    np.testing.assert_allclose(np.sort(estimate.inside), np.sort(inside), atol=1e-9)
    np.testing.assert_allclose(np.sort(estimate.outside), np.sort(outside), atol=1e-9)
    assert estimate.pbo == pytest.approx(np.mean(logits < 0), abs=1e-9)
    assert estimate.slope == pytest.approx(np.polyfit(inside, outside, 1)[0], abs=1e-9)
    assert estimate.loss_probability == pytest.approx(np.mean(outside < 0), abs=1e-9)
    assert sum(estimate.histogram()) == 12_870


def test_a_true_edge_is_not_overfitted_and_noise_is() -> None:
    returns = noise(50, 800)
    guessed = estimate_overfitting(block_moments(returns), 800)
    returns[7] += 0.002
    skilled = estimate_overfitting(block_moments(returns), 800)
    assert guessed is not None
    assert skilled is not None
    assert skilled.pbo < 0.05 < 0.2 < guessed.pbo


def test_overfitting_needs_two_trials_and_enough_days() -> None:
    assert estimate_overfitting(block_moments(noise(1, 100)), 100) is None
    assert estimate_overfitting(block_moments(noise(2, 20)), 20) is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_snooping_equals_the_plain_definition(seed: int) -> None:
    returns = noise(LANES + 7, 120, seed) + 0.0008
    returns[2] -= 0.02  # clearly worse than cash
    test = SnoopingTest(120, seed, rounds=200)
    test.add(returns[:5])
    test.add(returns[5:])
    result = test.result()
    assert result is not None
    counts = plain.day_counts(Resamples.draw(120, result.block, 200, seed), 120)
    reality_check_p, spa_p = plain.snooping(returns, counts, result.block)
    assert result.reality_check_p == pytest.approx(reality_check_p, abs=1e-9)
    assert result.spa_p == pytest.approx(spa_p, abs=1e-9)
    # Single precision.
    assert result.expected_best == pytest.approx(plain.expected_best(returns, counts), rel=1e-5)


def test_the_bootstrap_variance_equals_the_plain_sum() -> None:
    returns = noise(3, 90)
    expected = [plain.bootstrap_variance(trial, 7) for trial in returns]
    np.testing.assert_allclose(long_run_variance(returns, 7), expected, rtol=1e-9)


def test_resamples_have_all_days_equally_often_and_blocks_of_the_mean_length() -> None:
    counts = plain.day_counts(Resamples.draw(200, 10, 2000, seed=4), 200)
    assert (counts.sum(axis=1) == 200).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.15)
    # Days that follow each other are drawn together in nine of ten cases.
    together = np.mean([np.corrcoef(counts[:, t], counts[:, t + 1])[0, 1] for t in range(50)])
    assert together == pytest.approx(0.9, abs=0.03)


def test_deflation_of_independent_trials_follows_its_formula() -> None:
    returns = noise(1, 500)[0] + 0.001
    deflation = deflate(returns, None, measured=40, trials=100)
    needed = plain.expected_maximum(100, 1 / 499)
    assert deflation.needed == pytest.approx(needed, abs=1e-9)
    assert deflation.dsr == pytest.approx(plain.deflated_sharpe(returns, needed), abs=1e-9)


@pytest.mark.parametrize(("trials", "independent"), [(7, 7.0), (21, 21.0), (70, 70.0)])
def test_other_trials_depend_on_each_other_as_the_measured_ones(trials: int, independent: float) -> None:
    """Here 50 measured trials have the expected best of 7 independent ones."""
    returns = noise(1, 500)[0]
    expected = plain.expected_maximum(7, 1 / 499)
    deflation = deflate(returns, expected, measured=50, trials=50 * trials // 7)
    assert deflation.independent == pytest.approx(independent, rel=0.05)
    exact = deflate(returns, expected, measured=7, trials=trials)
    assert exact.independent == pytest.approx(independent, rel=1e-9)
    assert exact.needed == pytest.approx(plain.expected_maximum(trials, 1 / 499), abs=1e-9)


def test_the_expected_best_is_that_of_independent_trials_and_of_one_for_copies() -> None:
    independent, copies = SnoopingTest(1000, 5), SnoopingTest(1000, 5)
    independent.add(noise(100, 1000))
    copies.add(np.repeat(noise(1, 1000), 100, axis=0))
    best, same = independent.result(), copies.result()
    assert best is not None
    assert same is not None
    assert best.expected_best == pytest.approx(plain.expected_maximum(100, 1 / 999), rel=0.06)
    assert abs(same.expected_best) < 0.1 * best.expected_best
    assert deflate(noise(1, 1000)[0], same.expected_best, 100, 100).independent < 1.2


def test_a_plateau_has_neighbours_nearly_as_good_and_a_needle_has_not() -> None:
    points = [{"/a": a, "/b": b} for a in range(10) for b in ("x", "y")]
    numbers = list(range(100, 120))
    broad = np.array([1.0 - 0.05 * abs(point["/a"] - 5) for point in points])
    needle = np.where(np.arange(20) == 10, 1.0, 0.1)
    wide, narrow = (measure_plateau(points, values, numbers, 10) for values in (broad, needle))
    assert wide is not None
    assert narrow is not None
    assert wide.ratio >= 0.85
    assert narrow.ratio == pytest.approx(0.1)
    assert narrow.is_needle
    assert set(wide.neighbours[:2]) == {108, 112}
    assert measure_plateau(points, -broad, numbers, 10) is None


GOOD = Evidence(0.99, 0.05, 0.0, 0.01, 1.1, 1.6, 0.7, 200, holdout_looks=1)


def test_a_winner_is_believed_only_with_all_findings() -> None:
    assert judge(GOOD)[0] is Verdict.BELIEVED
    for change in (
        {"dsr": 0.9},
        {"pbo": 0.3, "loss_probability": 0.2},
        {"spa_p": 0.2},
        {"dsr": None},
        {"holdout_sharpe": None},
    ):
        changed = replace(GOOD, **change)
        verdict, reasons = judge(changed)
        assert verdict is Verdict.OPEN
        assert sum(reason.passed is not True for reason in reasons) == 1


def test_equally_good_trials_are_not_held_against_a_choice_that_does_not_lose() -> None:
    assert judge(replace(GOOD, pbo=0.5, loss_probability=0.01))[0] is Verdict.BELIEVED


@pytest.mark.parametrize(
    "change",
    [{"holdout_sharpe": -0.1}, {"pbo": 0.6, "loss_probability": 0.3}, {"dsr": 0.3}, {"spa_p": 0.7}],
    ids=lambda c: next(iter(c)),
)
def test_a_winner_that_chance_explains_is_luck(change: dict[str, float]) -> None:
    changed = replace(GOOD, **change)
    assert judge(changed)[0] is Verdict.LUCK


def test_reasons_are_sentences() -> None:
    for evidence in (GOOD, Evidence(None, None, None, None, None, None, None, 0, plateau=0.2)):
        for reason in judge(evidence)[1]:
            assert reason.message.endswith(".")
            assert len(reason.message) < 300
            assert "nan" not in reason.message
