"""The statistics of a study, written again from the papers, without any of the code under test: slow and plain."""

import itertools
import math
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def sharpe(returns: Floats) -> float:
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation) if np.ptp(returns) > 0 else 0.0


def sharpes(returns: Floats) -> Floats:
    deviations = returns.std(axis=1, ddof=1)
    varies = np.ptp(returns, axis=1) > 0
    return np.where(varies, returns.mean(axis=1) / np.where(varies, deviations, 1.0), 0.0)


def overfitting(returns: Floats, blocks: int = 16) -> tuple[Floats, Floats, Floats]:
    """Return (logits, ratio inside, ratio outside) of every half, in the order of `itertools.combinations`."""
    parts = np.array_split(np.arange(returns.shape[1]), blocks)
    rows = []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        ratios_inside, ratios_outside = sharpes(returns[:, inside]), sharpes(returns[:, outside])
        best = int(np.argmax(ratios_inside))
        relative = rankdata(ratios_outside)[best] / (len(returns) + 1)
        rows.append((math.log(relative / (1 - relative)), ratios_inside[best], ratios_outside[best]))
    logits, inside_best, outside_best = np.array(rows).T
    return logits, inside_best, outside_best


def deflated_sharpe(returns: Floats, benchmark: float) -> float:
    """Bailey and Lopez de Prado (2014), eq. 9."""
    ratio = returns.mean() / returns.std(ddof=1)
    z = (returns - returns.mean()) / returns.std()
    variance = 1 - (z**3).mean() * ratio + ((z**4).mean() - 1) / 4 * ratio**2
    return NormalDist().cdf((ratio - benchmark) * math.sqrt(len(returns) - 1) / math.sqrt(variance))


def expected_maximum(trials: int, variance: float) -> float:
    normal = NormalDist()
    gamma = 0.57721566490153286061
    return math.sqrt(variance) * (
        (1 - gamma) * normal.inv_cdf(1 - 1 / trials) + gamma * normal.inv_cdf(1 - 1 / (trials * math.e))
    )


def bootstrap_variance(returns: Floats, block: int) -> float:
    """Politis and Romano (1994): of sqrt(n) times the resampled mean."""
    n, keep = len(returns), 1 - 1 / block
    centred = returns - returns.mean()
    total = float(centred @ centred) / n
    for lag in range(1, n):
        weight = (1 - lag / n) * keep**lag + (lag / n) * keep ** (n - lag)
        total += 2 * weight * float(centred[: n - lag] @ centred[lag:]) / n
    return total


class Blocks(Protocol):
    """The blocks of resamples: those of resample i are `first` and `stop` from `offsets[i]` to `offsets[i + 1]`."""

    first: Any
    stop: Any
    offsets: Any


def day_counts(drawn: Blocks, days: int) -> Floats:
    """Return float64[rounds, days]: how often each day occurs in each resample; the days are a circle."""
    counts = np.zeros((len(drawn.offsets) - 1, days))
    for count, (begin, end) in zip(counts, itertools.pairwise(drawn.offsets.tolist()), strict=True):
        for first, stop in zip(drawn.first[begin:end].tolist(), drawn.stop[begin:end].tolist(), strict=True):
            for day in range(first, stop if stop > first else stop + days):
                count[day % days] += 1
    return counts


def snooping(returns: Floats, counts: Floats, block: int) -> tuple[float, float]:
    """Return the p-values of the reality check (White 2000) and of the SPA test (Hansen 2005, consistent)."""
    days = returns.shape[1]
    means = returns.mean(axis=1)
    omegas = np.array([math.sqrt(bootstrap_variance(trial, block)) for trial in returns])
    threshold = -math.sqrt(2 * math.log(math.log(days)))
    observed_mean = math.sqrt(days) * means.max()
    observed_ratio = max(0.0, (math.sqrt(days) * means / omegas).max())
    above_mean = above_ratio = 0
    for count in counts:
        resampled = returns @ count / days
        above_mean += math.sqrt(days) * (resampled - means).max() > observed_mean
        recentred = np.where(math.sqrt(days) * means / omegas >= threshold, means, 0.0)
        ratio = max(0.0, (math.sqrt(days) * (resampled - recentred) / omegas).max())
        above_ratio += ratio > observed_ratio
    return above_mean / len(counts), above_ratio / len(counts)


def expected_best(returns: Floats, counts: Floats) -> float:
    """Mean over resamples of the best ratio, after each trial's mean has been moved to 0."""
    centred = returns - returns.mean(axis=1, keepdims=True)
    deviations = returns.std(axis=1, ddof=1)
    return float(np.mean([(centred @ count / returns.shape[1] / deviations).max() for count in counts]))
