"""Statistical significance of Sharpe ratios, which are per period here, not annualised."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.equity_passes import resample_blocks

Floats = NDArray[np.float64]
EULER_MASCHERONI = 0.5772156649015329
NORMAL = NormalDist()


def probabilistic_sharpe(returns: Floats, benchmark: float) -> float | None:
    """Return P(true Sharpe > benchmark), with skewness and kurtosis (Bailey and Lopez de Prado 2012).

    None if there are fewer than three returns or they do not vary.
    """
    n = len(returns)
    if n < 3:
        return None
    deviation = float(returns.std(ddof=1))
    if deviation <= 1e-15:
        return None
    ratio = float(returns.mean()) / deviation
    centred = returns - returns.mean()
    second = float(np.mean(centred**2))
    skewness = float(np.mean(centred**3)) / second**1.5
    kurtosis = float(np.mean(centred**4)) / second**2
    variance = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if variance <= 0:
        return None
    return NORMAL.cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(variance))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """Return the expected best of `trials` independent strategies without skill whose Sharpe ratios have this variance
    (2014, eq. 6)."""
    if trials < 2:
        return 0.0
    high = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    higher = NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * high + EULER_MASCHERONI * higher)


def deflated_sharpe(returns: Floats, trials: int, trial_sharpes: Floats | None = None) -> float | None:
    """Return the PSR against the expected best of `trials` trials without skill (Bailey and Lopez de Prado 2014).

    The variance across trials is measured if their ratios are known; otherwise it is that of the estimator under no
    skill, 1 / (n - 1).
    """
    if len(returns) < 3:
        return None
    if trial_sharpes is not None and len(trial_sharpes) > 1:
        variance = float(np.var(trial_sharpes, ddof=1))
    else:
        variance = 1.0 / (len(returns) - 1)
    return probabilistic_sharpe(returns, expected_maximum_sharpe(trials, variance))


def bootstrap(
    returns: Floats, periods_per_year: float, seed: int, rounds: int = 1000, block: int = 10
) -> dict[str, tuple[float, float] | None]:
    """Return 90 % intervals of the annual Sharpe ratio and of the maximum drawdown, by the circular block bootstrap
    (Politis and Romano 1992)."""
    n = len(returns)
    if n < 2 * block or float(returns.std()) <= 1e-15:
        return {"sharpe": None, "max_drawdown": None}
    starts = np.random.default_rng(seed).integers(0, n, (rounds, -(-n // block)))
    ratios, drawdowns = resample_blocks(np.ascontiguousarray(returns), starts, block)
    sharpes = ratios * math.sqrt(periods_per_year)
    low, high = 0.05, 0.95
    return {
        "sharpe": (float(np.quantile(sharpes, low)), float(np.quantile(sharpes, high))),
        "max_drawdown": (float(np.quantile(drawdowns, low)), float(np.quantile(drawdowns, high))),
    }
