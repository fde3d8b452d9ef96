"""Trade a trial only on the test days of a fold: flat before and after each segment, with the costs of both."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.engine_rules import Rules
from workers.studies.evaluation import Evaluator
from workers.studies.market import Market
from workers.studies.messages import Trial

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Directions = NDArray[np.int8]


def segment_returns(evaluator: Evaluator, trial: Trial, days: Flags) -> Floats:
    """Return float64[days in the segment]: daily returns of the trial that trades only on `days` (bool[days])."""
    directions, rules = evaluator.decide(trial)
    cut = trade_only(days, directions, rules, evaluator.market)
    return evaluator.simulator.run(cut, rules).daily[days]


def trade_only(
    days: Flags, directions: Sequence[Directions], rules: Rules, market: Market
) -> list[Directions]:
    """Return the target directions of each symbol, flat outside `days`.

    The last order of a segment leaves the market inside it, so its costs belong to the segment.
    """
    lag = 0 if rules.fill == "same_close" else 1
    cut = []
    for target, of_bar in zip(directions, market.day_of_bar, strict=True):
        inside = days[of_bar]
        stays = inside.copy()
        if lag:
            stays[:-lag] &= inside[lag:]
            stays[-lag:] = False
        cut.append(np.where(stays, target, 0).astype(np.int8))
    return cut
