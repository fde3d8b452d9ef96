"""Advances one study by one step: failed batches, budgets, new batches, report. One transaction, however often repeated."""

from collections.abc import Callable
from math import ceil

import structlog
from django.db import transaction
from django.db.models import F

from operations.states import Status
from studies import budgets, failures, finalists, rungs
from studies.batching import Room, next_size
from studies.lifecycle import MAX_REASON, STUDIES, move, record
from studies.models import Study, StudyBatch
from studies.proposing import Proposer, insert_trials
from studies.states import WORKING, StudyStatus
from studies.submitting import has_files, submit_batch, submit_report
from workers.studies.messages import Trial

log = structlog.get_logger(__name__)
MAX_BATCHES_PER_STEP = 20
MAX_TRIALS_PER_STEP = 10_000
"""A step is one short transaction: the reports of batches wait for it."""


@transaction.atomic
def advance(study_pk: int, room: Room, proposer_of: Callable[[Study], Proposer]) -> bool:
    """Do what is due for a study; return whether more is due at once.

    Raises Busy and Invalid if its operations cannot be submitted now, and BadCondition if it has no further point; nothing
    of the step is stored then, and the proposer may be ahead of the rows.
    """
    study = Study.objects.select_for_update(of=("self",)).get(pk=study_pk)
    if study.status not in WORKING:
        return False
    if study.status == StudyStatus.REPORTING:
        _follow_report(study)
        return False
    return _search(study, room, proposer_of)


def _search(study: Study, room: Room, proposer_of: Callable[[Study], Proposer]) -> bool:
    if reason := _handle_failures(study):
        move(study, StudyStatus.PAUSED, STUDIES, reason, waiting_reason=reason[:MAX_REASON])
        return False
    spent = budgets.spent(study)
    _submit_waiting(study, room)
    if not spent and _submit_new(study, room, proposer_of):
        return True
    is_over = bool(spent) or study.proposed == study.planned
    if not is_over or StudyBatch.objects.filter(study=study, is_open=True).exists():
        return False
    if rungs.continue_best(study, room, is_over=bool(spent)) or finalists.create_batches(study):
        return True
    _start_report(study, spent or "all trials have ended")
    return False


def _handle_failures(study: Study) -> str:
    """Halve the failed batches; return why the study has to pause, or nothing."""
    failed = failures.failed_batches(study)
    for batch in failed:
        assert batch.operation is not None
        if batch.is_finalist:
            failures.give_up_finalist(study, batch)
            continue
        if reason := failures.stops_study(batch.operation):
            # Only these: another job may have died since, and continues from its checkpoint.
            StudyBatch.objects.filter(
                pk__in=[other.pk for other in failed],
                is_open=True,
                operation__status__in=("FAILED", "CANCELLED"),
            ).update(operation=None)
            return reason
        failures.split(study, batch)
        record(study, STUDIES, f"{batch} failed ({batch.operation.error_message}); halved")
    study.refresh_from_db()
    return failures.too_many(study)


def _submit_waiting(study: Study, room: Room) -> None:
    """Submit batches that have no operation, while there is room: halves of failed ones, those that a pause took back, and
    those of later rungs and of finalists."""
    waiting = StudyBatch.objects.filter(study=study, is_open=True, operation=None)
    for batch in waiting.order_by("rung", "first")[: _room_left(study, room)]:
        trials = batch.trials.values_list("number", "parameters")
        submit_batch(study, batch, [Trial(number=number, point=point) for number, point in trials])


def _room_left(study: Study, room: Room) -> int:
    """Return how many more batches the study may submit now."""
    submitted = StudyBatch.objects.filter(study=study, is_open=True, operation__isnull=False).count()
    return min(room.batches(study, submitted), MAX_BATCHES_PER_STEP)


def _submit_new(study: Study, room: Room, proposer_of: Callable[[Study], Proposer]) -> bool:
    """Submit new batches while there is room for them; return whether there is room for more."""
    ranges = StudyBatch.objects.filter(study=study, is_open=True, rung=rungs.first_rung(study))
    open_ranges = list(ranges.order_by("first").values_list("first", "last"))
    lowest_open = open_ranges[0][0] if open_ranges else study.proposed
    measured = study.proposed - sum(last - first + 1 for first, last in open_ranges)
    allowed, proposed = _room_left(study, room), study.proposed
    part = ceil((study.planned - study.proposed) / max(1, room.workers, len(open_ranges) + allowed))
    for _ in range(allowed):
        size = next_size(study, room, lowest_open, measured, part)
        if size == 0:
            return False
        _submit_next(study, size, proposer_of(study))
        if study.proposed - proposed >= MAX_TRIALS_PER_STEP:
            return True
    return allowed == MAX_BATCHES_PER_STEP


def _submit_next(study: Study, size: int, proposer: Proposer) -> None:
    first = study.proposed
    points = proposer.propose(study, first, size)
    trials = insert_trials(study, first, points)
    batch = StudyBatch.objects.create(
        study=study, rung=rungs.first_rung(study), first=first, last=first + size - 1
    )
    submit_batch(study, batch, trials)
    Study.objects.filter(pk=study.pk).update(proposed=F("proposed") + size, waiting_reason="")
    study.proposed += size


def _start_report(study: Study, reason: str) -> None:
    if not has_files(study):
        reason = f"No trial has a result: {failures.commonest(study)}"
        move(study, StudyStatus.FAILED, STUDIES, reason, waiting_reason=reason[:MAX_REASON])
        return
    # A report after an extension looks again; one that is tried again after a failure has shown nothing.
    is_look = study.spec["holdout"] and (study.report is not None or not study.holdout_looks)
    looks = study.holdout_looks + (1 if is_look else 0)
    study.holdout_looks = looks
    operation = submit_report(study)
    move(study, StudyStatus.REPORTING, STUDIES, reason, reporter=operation, holdout_looks=looks)


def _follow_report(study: Study) -> None:
    """A report that fails pauses the study; its completion is written by the report's own operation."""
    operation = study.reporter
    if operation is None or operation.status in (Status.FAILED, Status.CANCELLED):
        problem = (
            "its operation was removed" if operation is None else operation.error_message or operation.status
        )
        reason = f"The report failed: {problem}"
        move(study, StudyStatus.PAUSED, STUDIES, reason, waiting_reason=reason[:MAX_REASON])
