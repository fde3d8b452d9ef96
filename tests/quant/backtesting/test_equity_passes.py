"""The compiled passes give the figures of the plain numpy expressions, to the bit."""

import math

import numpy as np
import pytest

from workers.backtesting.equity_passes import (
    Floats,
    find_falls,
    growth_moments,
    mean_and_squares,
    returns_of_periods,
    summarize_account,
)
from workers.backtesting.periods import Periods, growth_rates
from workers.backtesting.significance import bootstrap

SIZES = (1, 2, 7, 8, 9, 127, 128, 129, 136, 300, 1000, 1025, 4999)


def curve(n: int, seed: int) -> Floats:
    """A curve with flat parts; every third one falls below zero."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 1, n) * (random.random(n) < 0.7)
    return np.cumsum(steps) + (3.0 if seed % 3 == 0 else 1000.0)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_mean_and_deviation_of_growth_equal_those_of_numpy(n: int, seed: int) -> None:
    marks, start = curve(n, seed), 5.0
    growth = growth_rates(np.append(start, marks))
    mean, squares = growth_moments(marks, start)
    assert mean == growth.mean()
    if n > 1:
        assert math.sqrt(squares / (n - 1)) == growth.std(ddof=1)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_mean_and_deviation_equal_those_of_numpy(n: int, seed: int) -> None:
    values = curve(n, seed)
    before = values.tobytes()
    mean, squares = mean_and_squares(values)
    assert mean == values.mean()
    if n > 1:
        assert math.sqrt(squares / (n - 1)) == values.std(ddof=1)
    assert values.tobytes() == before


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_figures_of_an_account_equal_those_of_numpy(n: int, seed: int) -> None:
    equity, position = curve(n, seed), np.random.default_rng(seed).integers(-1, 2, n) * 0.5
    figures = summarize_account(equity, position, 5.0)
    assert figures.mean == equity.mean()
    assert figures.deepest == find_falls(equity, 5.0).deepest
    assert figures.exposed == np.count_nonzero(position)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("every", [1, 3])
def test_returns_of_periods_equal_those_of_numpy(n: int, seed: int, every: int) -> None:
    equity, ends = curve(n, seed), np.append(np.arange(0, n - 1, every), n - 1)
    expected = Periods(ends, 252.0, "daily").returns(equity, 5.0)
    assert returns_of_periods(equity, ends, 5.0).tobytes() == expected.tobytes()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("start", [0.5, 5.0, -4.0])
def test_falls_equal_those_of_the_running_maximum(n: int, seed: int, start: float) -> None:
    values = curve(n, seed)
    under = values / np.maximum.accumulate(np.append(start, values))[1:] - 1.0
    falls = find_falls(values, start)
    assert falls.deepest == min(0.0, float(under.min()))
    edges = np.concatenate(([-1], np.flatnonzero(~(under < 0)), [n]))
    longest = int((np.diff(edges) - 1).argmax())
    if falls.deepest < 0.0:
        assert (falls.first, falls.last) == (edges[longest] + 1, edges[longest + 1] - 1)


def plain_bootstrap(returns: Floats, per_year: float, seed: int, block: int = 10) -> dict[str, Floats]:
    generator, n = np.random.default_rng(seed), len(returns)
    sharpes, drawdowns = np.empty(1000), np.empty(1000)
    for i in range(1000):
        starts = generator.integers(0, n, -(-n // block))
        sample = returns[(starts[:, None] + np.arange(block)).ravel()[:n] % n]
        deviation = sample.std(ddof=1)
        sharpes[i] = sample.mean() / deviation * math.sqrt(per_year) if deviation > 0 else 0.0
        growth = np.append(1.0, np.cumprod(1.0 + sample))
        drawdowns[i] = (growth / np.maximum.accumulate(growth) - 1.0).min()
    return {
        name: np.quantile(values, (0.05, 0.95))
        for name, values in (("sharpe", sharpes), ("max_drawdown", drawdowns))
    }


@pytest.mark.parametrize("n", [20, 21, 29, 250, 1303])
def test_the_bootstrap_equals_a_plain_loop(n: int) -> None:
    returns = np.random.default_rng(n).normal(1e-4, 0.01, n)
    returns[: n // 3] = 0.0
    expected, intervals = plain_bootstrap(returns, 252.0, n), bootstrap(returns, 252.0, n)
    for name, interval in intervals.items():
        assert interval == tuple(expected[name])
