"""How far tpe looks back: trial n is proposed from the results of the trials up to n - W only."""

from workers.studies.binding import BoundStudy

TRIALS_PER_BATCH = {"decisions": 16, "rules": 16, "training": 1}
"""Trials of a batch of tpe, by kind: fewer make better proposals, more cost fewer operations."""
DEFAULT_PARALLEL = 8
"""Batches that W allows at the same time. Not the number of workers: the same study has to propose the same trials."""


def window_of(bound: BoundStudy) -> int:
    """Return W, fixed at creation: twice the trials that run at the same time."""
    return 2 * (bound.study.budget.parallel or DEFAULT_PARALLEL) * TRIALS_PER_BATCH[bound.kind]
