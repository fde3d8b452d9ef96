"""Batches whose operation failed: tried again, then halved until the trial that ends its job is isolated."""

from collections import Counter
from typing import Any

from django.db.models import Count, Q, QuerySet

from operations import interventions
from operations.lifecycle import WrongState
from operations.models import Operation
from operations.models.attempt import AttemptOutcome
from operations.states import Status
from studies.lifecycle import STUDIES, record
from studies.models import Study, StudyBatch, StudyTrial, TrialState
from studies.results import fail_trial
from worker_agent.protocol import ErrorClass

JUDGED_TRIALS = 50
MIN_JUDGED = 10
"""Fewer ended trials do not pause a study, unless all of them failed."""
COMMONEST = 3
PAUSING = frozenset({ErrorClass.INVALID.value})
"""Errors of the whole study, which other trials would have as well."""
KILLED = frozenset({ErrorClass.JOB.value, ErrorClass.OUT_OF_MEMORY.value})
MAX_KILLS = 3
"""Deaths of a batch's job until it is halved: memory may be short because of another process."""


def failed_batches(study: Study) -> list[StudyBatch]:
    """Return the open batches whose operation ended without a result and is not to be resumed."""
    ended = Q(operation__status__in=(Status.FAILED, Status.CANCELLED))
    rows = StudyBatch.objects.filter(study=study, is_open=True).filter(ended).select_related("operation")
    # A job may die after the step resumed others: that operation waits for the next step.
    return list(rows.exclude(operation__in=_resumable(study).values("pk")).order_by("first"))


def _resumable(study: Study) -> QuerySet[Operation]:
    """Select the failed operations of open batches whose job has not died often enough to give up."""
    failed = Operation.objects.filter(
        study_batch__study=study,
        study_batch__is_open=True,
        status=Status.FAILED,
        error_class__in=KILLED,
    )
    deaths = Count("attempts", filter=Q(attempts__outcome=AttemptOutcome.FAILED))
    return failed.annotate(deaths=deaths).filter(deaths__lt=MAX_KILLS)


def resume_killed(study: Study) -> None:
    """Continue the batches whose job died from their newest checkpoint, until it has died three times.

    Call it without a lock on the study: operations are locked before studies.
    """
    for operation in _resumable(study).order_by("pk"):
        again = interventions.resume if operation.checkpoints.exists() else interventions.retry
        try:
            again(operation.pk, STUDIES)
        except WrongState:
            continue  # a person was faster


def split(study: Study, batch: StudyBatch) -> list[StudyBatch]:
    """Replace a failed batch by its halves, or fail its only trial. The study's row is locked."""
    operation = batch.operation
    assert operation is not None
    numbers = list(batch.trials.values_list("number", flat=True))
    if len(numbers) == 1:
        fail_trial(study, batch, numbers[0], f"{operation.error_class}: {operation.error_message}")
        return []
    middle = len(numbers) // 2
    batch.delete()
    halves = [(batch.first, numbers[middle] - 1), (numbers[middle], batch.last)]
    return [
        StudyBatch.objects.create(study=study, rung=batch.rung, first=first, last=last)
        for first, last in halves
    ]


def give_up_finalist(study: Study, batch: StudyBatch) -> None:
    """Close the batch of a finalist that could not be tested: the trial keeps its result, and the report names it."""
    assert batch.operation is not None
    StudyBatch.objects.filter(pk=batch.pk, is_open=True).update(is_open=False)
    record(
        study, STUDIES, f"{batch} was not tested: {batch.operation.error_message or batch.operation.status}"
    )


def stops_study(operation: Operation) -> str:
    """Return why the failure of one operation pauses its study; empty if its batch is halved instead."""
    if operation.status == Status.CANCELLED:
        return f"The batch {operation.pk} was cancelled; resume the study to run it again."
    if operation.error_class in PAUSING:
        return f"Every batch would fail: {operation.error_message}"
    return ""


def too_many(study: Study) -> str:
    """Return why the study has to pause: the share of failures with the commonest errors; empty if it goes on."""
    newest = study.trials.exclude(state=TrialState.RUNNING).order_by("-number")
    judged = list(
        newest[: min(JUDGED_TRIALS, max(0, study.ended - study.failures_from))].values_list("state", "error")
    )
    failed = [error for state, error in judged if state == TrialState.FAILED]
    if not failed or (len(judged) < MIN_JUDGED and len(failed) < len(judged)):
        return ""
    if len(failed) / len(judged) <= float(study.spec["budget"]["failures"]):
        return ""
    commonest = Counter(failed).most_common(COMMONEST)
    listed = "; ".join(f"{error[:120]} ({number}x)" for error, number in commonest)
    return f"{len(failed)} of the last {len(judged)} trials failed: {listed}"


def errors_of(study: Study) -> list[dict[str, Any]]:
    """Return the errors of failed trials with their number and an example, the commonest first."""
    rows = StudyTrial.objects.filter(study=study, state=TrialState.FAILED).values_list("error", "number")
    groups: dict[str, list[int]] = {}
    for error, number in rows.order_by("number"):
        groups.setdefault(error, []).append(number)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [{"error": error, "trials": len(numbers), "example": numbers[0]} for error, numbers in ordered]


def commonest(study: Study) -> str:
    """Return the commonest error of the study's failed trials."""
    groups = errors_of(study)
    return groups[0]["error"] if groups else "no batch has completed"
