"""The statistics of a study against plain implementations of the papers, and on data whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.quant.studies import plain_statistics as plain
from workers.studies.messages import Verdict
from workers.studies.statistics.deflation import deflate, effective_trials, mean_squared_correlation
from workers.studies.statistics.moments import block_edges, block_moments, sharpes
from workers.studies.statistics.overfitting import estimate_overfitting
from workers.studies.statistics.plateau import measure_plateau
from workers.studies.statistics.snooping import SnoopingTest, day_counts, long_run_variance
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


@pytest.mark.parametrize("days", [160, 165], ids=["equal blocks", "unequal blocks"])
def test_overfitting_equals_the_plain_definition(days: int) -> None:
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
    returns = noise(12, 120, seed) + 0.0008
    returns[2] -= 0.02  # clearly worse than cash
    test = SnoopingTest(120, seed, rounds=200)
    test.add(returns[:5])
    test.add(returns[5:])
    result = test.result()
    assert result is not None
    counts = day_counts(120, result.block, 200, seed).astype(np.float64)
    reality_check_p, spa_p = plain.snooping(returns, counts, result.block)
    assert result.reality_check_p == pytest.approx(reality_check_p, abs=1e-9)
    assert result.spa_p == pytest.approx(spa_p, abs=1e-9)


def test_the_bootstrap_variance_equals_the_plain_sum() -> None:
    returns = noise(3, 90)
    expected = [plain.bootstrap_variance(trial, 7) for trial in returns]
    np.testing.assert_allclose(long_run_variance(returns, 7), expected, rtol=1e-9)


def test_resamples_have_all_days_equally_often_and_blocks_of_the_mean_length() -> None:
    counts = day_counts(200, 10, 2000, seed=4)
    assert (counts.sum(axis=1) == 200).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.15)
    # Days that follow each other are drawn together in nine of ten cases.
    together = np.mean([np.corrcoef(counts[:, t], counts[:, t + 1])[0, 1] for t in range(50)])
    assert together == pytest.approx(0.9, abs=0.03)


def test_deflation_follows_its_formula() -> None:
    returns, ratios = noise(1, 500)[0] + 0.001, np.random.default_rng(3).normal(0.0, 0.08, 40)
    deflation = deflate(returns, ratios, counted_before=60, correlation=None)
    needed = plain.expected_maximum(100, float(np.var(ratios, ddof=1)))
    assert deflation.trials == 100
    assert deflation.needed == pytest.approx(needed, abs=1e-9)
    assert deflation.dsr == pytest.approx(plain.deflated_sharpe(returns, needed), abs=1e-9)


def test_similar_trials_still_have_to_beat_the_luck_that_they_share() -> None:
    returns, ratios = noise(1, 500)[0] + 0.001, np.full(50, 0.07)
    deflation = deflate(returns, ratios, counted_before=0, correlation=0.2)
    at_least = plain.expected_maximum(4, 1 / 499)
    assert deflation.effective == pytest.approx(1 / (1 / 50 + 0.98 * 0.2))
    assert at_least < deflation.needed < plain.expected_maximum(5, 1 / 499)


@pytest.mark.parametrize(("trials", "days"), [(20, 400), (30, 25)], ids=["more days", "more trials"])
def test_effective_trials_are_the_participation_ratio(trials: int, days: int) -> None:
    common = noise(1, days)[0]
    returns = noise(trials, days, seed=8) + common
    measured = mean_squared_correlation(returns)
    assert measured is not None
    with_chance = measured * (1 - 1 / (days - 1)) + 1 / (days - 1)
    assert effective_trials(trials, with_chance) == pytest.approx(
        plain.participation_ratio(returns), rel=1e-9
    )


def test_independent_trials_count_fully_and_copies_once() -> None:
    independent = mean_squared_correlation(noise(100, 500))
    copies = mean_squared_correlation(np.repeat(noise(1, 500), 20, axis=0))
    assert effective_trials(100, independent) > 85
    assert effective_trials(20, copies) == pytest.approx(1.0)


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


GOOD = Evidence(0.99, 0.05, 0.01, 1.1, 1.6, 0.7, 200, holdout_looks=1)


def test_a_winner_is_believed_only_with_all_findings() -> None:
    assert judge(GOOD)[0] is Verdict.BELIEVED
    for change in ({"dsr": 0.9}, {"pbo": 0.3}, {"spa_p": 0.2}, {"dsr": None}, {"holdout_sharpe": None}):
        changed = Evidence(**{name: getattr(GOOD, name) for name in Evidence.__slots__} | change)
        verdict, reasons = judge(changed)
        assert verdict is Verdict.OPEN
        assert sum(reason.passed is not True for reason in reasons) == 1


@pytest.mark.parametrize(
    "change",
    [{"holdout_sharpe": -0.1}, {"pbo": 0.6}, {"dsr": 0.3}, {"spa_p": 0.7}],
    ids=lambda c: next(iter(c)),
)
def test_a_winner_that_chance_explains_is_luck(change: dict[str, float]) -> None:
    changed = Evidence(**{name: getattr(GOOD, name) for name in Evidence.__slots__} | change)
    assert judge(changed)[0] is Verdict.LUCK


def test_reasons_are_sentences() -> None:
    for evidence in (GOOD, Evidence(None, None, None, None, None, None, 0, plateau=0.2)):
        for reason in judge(evidence)[1]:
            assert reason.message.endswith(".")
            assert len(reason.message) < 300
            assert "nan" not in reason.message
