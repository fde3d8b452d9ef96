"""The deflated Sharpe ratio of a study's winner, and how many independent trials the study amounts to."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.significance import expected_maximum_sharpe, probabilistic_sharpe

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deflation:
    dsr: float | None
    """P(true ratio > `needed`) (Bailey and Lopez de Prado 2014)."""
    needed: float
    """Sharpe ratio per day that the best of all trials reaches without any skill."""
    trials: int
    """Trials of the study and earlier ones on the same data."""
    independent: float
    """The number of independent trials whose expected best is `needed`."""


def deflate(returns: Floats, expected_best: float | None, measured: int, trials: int) -> Deflation:
    """Deflate the ratio of the winner's daily `returns` (float64[days]) by all trials on these data.

    `expected_best`: ratio per day that the best of `measured` trials reaches without skill, as their resampled returns
    show it; None counts them as independent. The other ones of `trials` depend on each other as the measured ones do.

    Bailey and Lopez de Prado estimate the same from the variance of the trials' ratios. That variance contains the true
    differences between the trials, and not the luck that similar trials share; resampled returns have neither fault.
    """
    variance = 1.0 / max(1, len(returns) - 1)
    of_measured = (
        float(measured) if expected_best is None else _trials_with_best(expected_best, variance, measured)
    )
    independent = max(1.0, of_measured * trials / max(1, measured))
    needed = expected_maximum_of(independent, variance)
    return Deflation(probabilistic_sharpe(returns, needed), needed, trials, independent)


def _trials_with_best(expected_best: float, variance: float, most: int) -> float:
    """Return how many independent trials, at most `most`, have this expected best; by bisection."""
    low, high = 1.0, float(max(1, most))
    if expected_maximum_of(high, variance) <= expected_best:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_maximum_of(middle, variance) < expected_best else (low, middle)
    return low


def expected_maximum_of(trials: float, variance: float) -> float:
    """Return the expected best of a number of trials that need not be whole; linear between whole numbers."""
    whole = math.floor(trials)
    low, high = (expected_maximum_sharpe(max(1, n), variance) for n in (whole, whole + 1))
    return low + (trials - whole) * (high - low)
