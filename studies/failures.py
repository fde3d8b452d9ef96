"""Batches whose operation failed: halved until the trial that ends its worker is isolated."""

from collections import Counter
from typing import Any

from django.db.models import Q

from operations.models import Operation
from operations.states import Status
from studies.models import Study, StudyBatch, StudyTrial, TrialState
from studies.results import fail_trial
from worker_agent.protocol import ErrorClass

JUDGED_TRIALS = 50
MIN_JUDGED = 10
"""Fewer ended trials do not pause a study, unless all of them failed."""
COMMONEST = 3
PAUSING = frozenset({ErrorClass.INVALID.value})
"""Errors of the whole study, which other trials would have as well."""


def failed_batches(study: Study) -> list[StudyBatch]:
    """Return the open batches whose operation ended without a result, or was removed."""
    ended = Q(operation__status__in=(Status.FAILED, Status.CANCELLED))
    rows = StudyBatch.objects.filter(study=study, is_open=True).filter(ended).select_related("operation")
    return list(rows.order_by("first"))


def split(study: Study, batch: StudyBatch) -> list[StudyBatch]:
    """Replace a failed batch by its halves, or fail its only trial. The study's row is locked."""
    operation = batch.operation
    assert operation is not None
    if batch.size == 1:
        fail_trial(study, batch, f"{operation.error_class}: {operation.error_message}")
        return []
    middle = (batch.first + batch.last) // 2
    batch.delete()
    halves = [(batch.first, middle), (middle + 1, batch.last)]
    return [
        StudyBatch.objects.create(study=study, rung=batch.rung, first=first, last=last)
        for first, last in halves
    ]


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
