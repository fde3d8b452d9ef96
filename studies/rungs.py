"""Early stopping: at each rung the best trials continue, once all trials of the study have reached it.

The choice depends on the values only, so it is the same with any number of workers. Halving inside a batch would not
be: where one batch ends depends on the time that its trials took.
"""

from math import ceil

from django.db.models import F

from studies.batching import Room, fair_size
from studies.lifecycle import STUDIES, record
from studies.models import Study, StudyBatch, StudyTrial, TrialState


def first_rung(study: Study) -> int:
    """Return the rung of a trial's first batch: 0 without early stopping."""
    return 1 if study.spec["stop_early"] else 0


def continue_best(study: Study, room: Room, *, is_over: bool) -> bool:
    """Divide the trials that wait at the lowest rung, and create the batches of those that continue.

    Return whether any continues. Of equal values the lower number continues; `is_over` stops all. The study's row is locked,
    and it has no open batch: every running trial waits at a rung.
    """
    waiting = list(study.trials.filter(state=TrialState.RUNNING).order_by("rung", "number"))
    cohort = [trial for trial in waiting if is_over or trial.rung == waiting[0].rung]
    if not cohort:
        return False
    kept = [] if is_over else best_of(cohort, study)
    continuing = {trial.number for trial in kept}
    stopped = [trial.number for trial in cohort if trial.number not in continuing]
    study.trials.filter(number__in=stopped).update(state=TrialState.STOPPED_EARLY)
    Study.objects.filter(pk=study.pk).update(stopped_early=F("stopped_early") + len(stopped))
    record(study, STUDIES, f"{len(kept)} of {len(cohort)} trials continue after rung {cohort[0].rung}")
    study.refresh_from_db()
    if kept:
        _create_batches(study, room, sorted(continuing), cohort[0].rung + 1)
    return bool(kept)


def best_of(cohort: list[StudyTrial], study: Study) -> list[StudyTrial]:
    """Return the share of the cohort that continues, the best first; trials without a value come last."""
    sign = -1.0 if study.maximizes else 1.0
    ranked = sorted(
        cohort,
        key=lambda trial: (trial.value is None, sign * (trial.value or 0.0), trial.number),
    )
    share = study.spec["stop_early"]["keep"] * len(cohort)
    return ranked[: ceil(round(share, 9))]  # 0.07 of 100 is 7.000000000000001


def _create_batches(study: Study, room: Room, numbers: list[int], rung: int) -> None:
    """Create batches without an operation, which are submitted as there is room."""
    part = ceil(len(numbers) / max(1, room.workers))
    size = max(1, fair_size(study, room, len(numbers), study.proposed, part))
    StudyBatch.objects.bulk_create(
        StudyBatch(study=study, rung=rung, first=group[0], last=group[-1])
        for group in (numbers[at : at + size] for at in range(0, len(numbers), size))
    )
