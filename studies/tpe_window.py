"""How far tpe looks back: trial n is proposed from the results of the trials up to n - W only."""

from workers.studies.binding import BoundStudy

TRIALS_PER_BATCH = {"decisions": 8, "rules": 8, "training": 1}
"""Trials of a batch of tpe, by kind: fewer make better proposals, more cost fewer operations."""
DEFAULT_PARALLEL = 4
"""Batches that W allows at the same time. Not the number of workers: the same study has to propose the same trials."""


SHARE_WITHOUT_RESULTS = 4
"""The first W trials are proposed without any result: at most this part of the study."""


def window_of(bound: BoundStudy) -> int:
    """Return W, fixed at creation: twice the trials that run at the same time, at most a quarter of all trials."""
    running = (bound.study.budget.parallel or DEFAULT_PARALLEL) * TRIALS_PER_BATCH[bound.kind]
    return max(1, min(2 * running, bound.trials // SHARE_WITHOUT_RESULTS))
