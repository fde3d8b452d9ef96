"""Trade a trial only on the test days of a fold: flat before and after each segment, with the costs of both."""

import numpy as np
from numpy.typing import NDArray

from workers.studies.evaluation import Evaluator
from workers.studies.messages import Trial

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def segment_returns(evaluator: Evaluator, trial: Trial, days: Flags) -> Floats:
    """Return float64[days in the segment]: daily returns of the trial that trades only on `days` (bool[days]).

    The last order of a segment leaves the market inside it, so its costs belong to the segment.
    """
    directions, rules = evaluator.decide(trial)
    lag = 0 if rules.fill == "same_close" else 1
    cut = []
    for target, of_bar in zip(directions, evaluator.market.day_of_bar, strict=True):
        inside = days[of_bar]
        stays = inside.copy()
        for ahead in range(1, lag + 1):
            stays[:-ahead] &= inside[ahead:]
            stays[-ahead:] = False
        cut.append(np.where(stays, target, 0).astype(np.int8))
    return evaluator.simulator.run(cut, rules).daily[days]
