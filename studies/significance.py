"""The ratio that the best of many trials reaches without skill, from the number of trials alone."""

from math import e, sqrt
from statistics import NormalDist

EULER_GAMMA = 0.5772156649015329


def needed_sharpe(trials: int, years: float) -> float | None:
    """Return the annual Sharpe ratio that the best of `trials` independent trials without skill is expected to reach.

    Source: Bailey and Lopez de Prado (2014), the expected maximum of normal variables; the ratio over `years` has a
    standard deviation of 1 / sqrt(years). None without data.
    """
    if years <= 0.0:
        return None
    if trials < 2:
        return 0.0
    normal = NormalDist()
    expected = (1 - EULER_GAMMA) * normal.inv_cdf(1 - 1 / trials)
    expected += EULER_GAMMA * normal.inv_cdf(1 - 1 / (trials * e))
    return expected / sqrt(years)
