"""The deflated Sharpe ratio within a group of runs: how likely is skill, given that the best of them was chosen?

Bailey and Lopez de Prado (2014). The workers compute the same from the returns; here only stored
figures are needed, because PSR and DSR differ only in the ratio that they compare with: z = Phi^-1(PSR) is proportional
to the ratio, so z (1 - threshold / ratio) is the deflated one, in annual as in periodic units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, variance

EULER_MASCHERONI = 0.5772156649015329
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Trial:
    """The annual Sharpe ratio of a run, and the probability that the true one is above zero."""

    sharpe: float | None
    psr: float | None


def expected_maximum(sharpes: Sequence[float]) -> float:
    """Return the expected best ratio of as many trials without skill, with the variance of these (2014, eq. 6)."""
    if len(sharpes) < 2:
        return 0.0
    high = NORMAL.inv_cdf(1.0 - 1.0 / len(sharpes))
    higher = NORMAL.inv_cdf(1.0 - 1.0 / (len(sharpes) * math.e))
    factor = (1.0 - EULER_MASCHERONI) * high + EULER_MASCHERONI * higher
    return math.sqrt(variance(sharpes)) * factor


def deflate(trials: Sequence[Trial]) -> list[float | None]:
    """Return the DSR of each trial over all of them; None if its ratio or PSR is undefined.

    A repetition of the same settings has the same figures and is not another trial.
    """
    distinct = {trial for trial in trials if trial.sharpe is not None}
    threshold = expected_maximum([trial.sharpe for trial in distinct if trial.sharpe is not None])
    return [_deflate(trial, threshold) for trial in trials]


def _deflate(trial: Trial, threshold: float) -> float | None:
    if not trial.sharpe or trial.psr is None or not 0.0 < trial.psr < 1.0:
        return None
    return NORMAL.cdf(NORMAL.inv_cdf(trial.psr) * (1.0 - threshold / trial.sharpe))
