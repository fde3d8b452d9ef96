"""How many trials the next batch of a study has, and how many batches it may have at the same time."""

from dataclasses import dataclass
from math import ceil
from statistics import median

from registry.workforce import Workforce
from studies.models import Study
from studies.tpe_window import TRIALS_PER_BATCH
from workers.studies.messages import MAX_TRIALS

MEASURED_TRIALS = 8
"""Trials of the first batch, which shows how long one takes."""
MIN_BATCH_S = 10.0
FEWEST_S = 1.0
"""A batch has at least so much work, even if workers stay idle: an operation costs a third of a second."""
UNDIVIDED_S = 5.0
"""A worker's part of the rest is one batch if it is not more work than this."""
WORKERS_PER_SECOND = 20.0
"""A batch lasts at least this share of the workers in seconds, so that one process can follow them all."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a study may submit now."""

    workers: int
    """Suitable ones that are registered."""
    live_studies: int
    """Studies that share the workers, this one included."""

    def batches(self, study: Study, submitted: int) -> int:
        """Return how many more batches the study may submit beside those that were."""
        limit = study.parallel or max(1, self.workers // 2 // max(1, self.live_studies))
        return max(0, limit - submitted)


def count_workers(operation_type: str) -> int:
    return Workforce.load().counts(operation_type, {})["registered"]


def next_size(study: Study, room: Room, lowest_open: int, measured: int, part: int) -> int:
    """Return the number of trials of the next batch; 0 if the study has to wait for results.

    The first batch measures. Then a batch fills `max(10 s, workers / 20)`, but never more than the part of the rest that
    leaves two batches for each worker, unless that is little work. `lowest_open` is the first trial
    without a result, `measured` the number with one, `part` a worker's part of the trials that were left before this step.
    """
    left = study.planned - study.proposed
    method = study.spec["search"]["method"]
    if method == "tpe":
        ready = lowest_open + study.window - study.proposed
        return max(0, min(left, ready, TRIALS_PER_BATCH[study.kind]))
    if study.kind == "training" and not measured:
        return min(left, 1)
    if not measured:
        return 0 if study.proposed else min(left, MEASURED_TRIALS)
    return min(left, fair_size(study, room, left, measured, part))


def fair_size(study: Study, room: Room, left: int, measured: int, part: int) -> int:
    """Return the number of trials that fill a batch, of `left` that the workers share; `part` as in `next_size`."""
    target_s = max(MIN_BATCH_S, room.workers / WORKERS_PER_SECOND)
    each_s = max(_milliseconds_each(study, measured), 0.001) / 1000
    fair = max(
        ceil(left / (2 * max(1, room.workers))),
        round(FEWEST_S / each_s),
        min(part, round(UNDIVIDED_S / each_s)),
    )
    return max(0, min(fair, left, MAX_TRIALS, max(1, round(target_s / each_s))))


def _milliseconds_each(study: Study, measured: int) -> float:
    """Return the processor time of a trial, by those with a result.

    By the first batch alone it is their median: the first trials of a job load compiled code, a multiple of a short trial.
    """
    if study.kind == "training" or measured > MEASURED_TRIALS:
        return study.cpu_ms / max(1, measured)
    times = study.trials.filter(number__lt=MEASURED_TRIALS).values_list("cpu_ms", flat=True)
    return median(list(times) or [0.0])
