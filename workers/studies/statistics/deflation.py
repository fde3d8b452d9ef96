"""The deflated Sharpe ratio of a study's winner, and how many independent trials the study amounts to."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.significance import expected_maximum_sharpe, probabilistic_sharpe

Floats = NDArray[np.float64]
MAX_CORRELATED = 1000
"""Trials whose correlations are computed."""


@dataclass(frozen=True, slots=True)
class Deflation:
    dsr: float | None
    """P(true ratio > `needed`) (Bailey and Lopez de Prado 2014)."""
    needed: float
    """Sharpe ratio per day that the best of the trials reaches without any skill."""
    variance: float
    """Of the trials' ratios per day."""
    trials: int
    effective: float


def deflate(returns: Floats, ratios: Floats, counted_before: int, correlation: float | None) -> Deflation:
    """Deflate the ratio of the winner's daily `returns` (float64[days]) by all trials on these data.

    `ratios`: per day, of all trials of the study, float64[k], finite. `correlation`: as from `mean_squared_correlation`.
    The trials' variance measures the luck in which they differ, not the luck that similar trials share. So the ratio
    needed is at least that of `effective` independent trials whose ratios vary as those of strategies without skill do.
    """
    trials = max(1, len(ratios) + counted_before)
    effective = effective_trials(trials, correlation)
    variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0
    without_skill = 1.0 / max(1, len(returns) - 1)
    needed = max(
        expected_maximum_sharpe(trials, variance),
        expected_maximum_of(effective, without_skill),
    )
    return Deflation(probabilistic_sharpe(returns, needed), needed, variance, trials, effective)


def expected_maximum_of(trials: float, variance: float) -> float:
    """Return the expected best of a number of trials that need not be whole; linear between whole numbers."""
    whole = math.floor(trials)
    low, high = (expected_maximum_sharpe(max(1, n), variance) for n in (whole, whole + 1))
    return low + (trials - whole) * (high - low)


def effective_trials(trials: int, correlation: float | None) -> float:
    """Return the participation ratio (sum of eigenvalues)^2 / (sum of their squares) of the trials' correlations.

    It is the trials' number if they are independent and 1 if they are the same. Unknown correlations count as 0.
    """
    if correlation is None:
        return float(trials)
    return 1.0 / (1.0 / trials + (1.0 - 1.0 / trials) * correlation)


def mean_squared_correlation(returns: Floats) -> float | None:
    """Return the mean squared correlation between two trials of `returns` (float64[k, days]); None if k is below 2.

    Without the part that chance adds to squared correlations of so many days, 1 / (days - 1).
    """
    centred = returns - returns.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    varies = norms > 1e-12
    scaled = centred[varies] / norms[varies, None]
    count, days = scaled.shape
    if count < 2 or days < 3:
        return None
    # The sum of all squared correlations, by the smaller of the two products.
    product = scaled @ scaled.T if count <= days else scaled.T @ scaled
    squared = (float(np.sum(product * product)) - count) / (count * (count - 1))
    chance = 1.0 / (days - 1)
    return float(min(1.0, max(0.0, (squared - chance) / (1.0 - chance))))
