"""Submits what the schedules of users are due, once per due time, however many processes run this."""

import time
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.isolation import isolated
from access.models import AuditEntry
from access.problems import Busy, Problem
from operations import dispatch_pauses
from operations.insertion import Submitter
from operations.models import Operation, Schedule, ScheduleRun
from operations.schedules.saving import build, database_time, owner_refusal, subject_of
from operations.schedules.times import next_time
from operations.states import FINAL
from operations.submission import submit

log = structlog.get_logger(__name__)

SCHEDULES = Actor("schedules")
LASTS_S = 10.0
LATE_AFTER = timedelta(minutes=5)
"""A due time that could not be used for so long was missed."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60, 3600
MAX_FAILURES = 10
"""Failed submissions in a row that pause a schedule, after about four hours."""
MAX_BUSY = 7
"""The most that a user's own limits count as failures: the pause between tries is then the longest."""
MAX_PER_ROUND = 200
KEPT_RUNS = 200
"""Of each schedule."""
DEFECT = "An unexpected error of the backend; see its log."


def run_due(lasts_s: float = LASTS_S) -> dict[str, int]:
    """Handle every schedule whose time has come, the longest overdue first; stop after `lasts_s`. Return counts by outcome."""
    until = time.monotonic() + lasts_s
    counts: dict[str, int] = {}
    for schedule in _due():
        if time.monotonic() > until or dispatch_pauses.is_read_only():
            break
        outcome = _handle(schedule)
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def _due() -> list[Schedule]:
    rows = Schedule.objects.filter(paused_at__isnull=True, next_run_at__lte=Now())
    rows = rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=Now()))
    waiting = Q(waits_for_last=True, last_operation__isnull=False) & ~Q(last_operation__status__in=FINAL)
    # Owner and last operation are read when it is the schedule's turn: until then they may change.
    return list(rows.exclude(waiting).order_by("next_run_at")[:MAX_PER_ROUND])


def _handle(schedule: Schedule) -> str:
    """Handle one due schedule; whatever fails concerns only this one."""
    with isolated("running a schedule", schedule_id=schedule.schedule_id) as unit:
        try:
            with transaction.atomic():
                return _run(schedule)
        except Problem as problem:
            _set_back(schedule, str(problem.detail), is_temporary=isinstance(problem, Busy))
    if unit.error is not None:
        with isolated("setting a schedule back", schedule_id=schedule.schedule_id):
            _set_back(schedule, DEFECT)
    return ScheduleRun.Outcome.FAILED


def _run(schedule: Schedule) -> str:
    """Use the due time: submit, skip, wait or pause. Raises Problem if the submission is refused."""
    if reason := owner_refusal(schedule.created_by):
        _pause(schedule, reason)
        return "paused"
    now = database_time()
    is_late = now - schedule.next_run_at > LATE_AFTER
    is_first_try = not schedule.waits_for_last and not schedule.failures
    if is_late and is_first_try and schedule.catch_up == Schedule.CatchUp.SKIP:
        return _skip(schedule, now, "The backend did not run at this time.")
    last = Operation.with_deleted.filter(pk=schedule.last_operation_id or "").first()
    if last is not None and not last.is_final:
        if schedule.overlap == Schedule.Overlap.SKIP:
            return _skip(schedule, now, f"The operation {last.pk} had not ended.")
        _mine(schedule).update(waits_for_last=True)
        return "waiting"
    return _submit(schedule, now)


def _submit(schedule: Schedule, now: datetime) -> str:
    if not _take(schedule, now):
        return "taken"
    owner = schedule.created_by
    by = Submitter(user=owner, actor=Actor(f"schedule:{schedule.name}"[:200]))
    operation = submit(build(schedule.submission, owner), by)
    Schedule.objects.filter(pk=schedule.pk).update(last_operation=operation)
    _record(schedule, ScheduleRun.Outcome.SUBMITTED, operation_id=operation.pk)
    return ScheduleRun.Outcome.SUBMITTED


def _skip(schedule: Schedule, now: datetime, reason: str) -> str:
    if not _take(schedule, now):
        return "taken"
    _record(schedule, ScheduleRun.Outcome.SKIPPED, reason)
    return ScheduleRun.Outcome.SKIPPED


def _take(schedule: Schedule, now: datetime) -> bool:
    """Move the schedule to its next due time; return whether no other process, nor a person, was faster."""
    following = next_time(schedule.cron, schedule.time_zone, max(now, schedule.next_run_at))
    changed = _mine(schedule).update(
        next_run_at=following, not_before=None, waits_for_last=False, failures=0, problem=""
    )
    return bool(changed)


def _set_back(schedule: Schedule, problem: str, *, is_temporary: bool = False) -> None:
    """Try the due time again after a growing pause; pause the schedule after too many failures in a row.

    A user's own limits are temporary: they pause no schedule.
    """
    pause_s = min(FIRST_PAUSE_S * 2**schedule.failures, LONGEST_PAUSE_S)
    failures = schedule.failures + 1
    if is_temporary:
        failures = max(schedule.failures, min(failures, MAX_BUSY))
    if failures >= MAX_FAILURES:
        is_mine = _pause(schedule, f"{failures} submissions in a row failed: {problem}")
    else:
        not_before = Now() + timedelta(seconds=pause_s)
        is_mine = bool(_mine(schedule).update(failures=failures, problem=problem, not_before=not_before))
    if not is_mine:
        return
    _record(schedule, ScheduleRun.Outcome.FAILED, problem)
    log.warning("scheduled submission failed", schedule_id=schedule.schedule_id, failures=failures)


def _pause(schedule: Schedule, reason: str) -> bool:
    """Pause the schedule; return whether no other process, nor a person, was faster."""
    if not _mine(schedule).update(paused_at=Now(), pause_reason=reason[: audit.MAX_REASON]):
        return False
    audit.record(AuditEntry.Act.SCHEDULE_PAUSED, subject_of(schedule), SCHEDULES, reason)
    return True


def _mine(schedule: Schedule) -> QuerySet[Schedule]:
    """Select the row if it is as it was read: due, not paused and not handled by another process."""
    return Schedule.objects.filter(
        pk=schedule.pk,
        next_run_at=schedule.next_run_at,
        failures=schedule.failures,
        not_before=schedule.not_before,
        paused_at__isnull=True,
    )


def _record(schedule: Schedule, outcome: str, detail: str = "", operation_id: str | None = None) -> None:
    """Append to the log of the schedule, and remove its oldest entries."""
    ScheduleRun.objects.create(
        schedule=schedule,
        due_at=schedule.next_run_at,
        outcome=outcome,
        detail=detail,
        operation_id=operation_id,
    )
    rows = ScheduleRun.objects.filter(schedule=schedule).order_by("-pk")
    if oldest_kept := rows.values_list("pk", flat=True)[KEPT_RUNS - 1 : KEPT_RUNS].first():
        rows.filter(pk__lt=oldest_kept).delete()


def repair_due_times() -> int:
    """Make schedules due at their next time if they wait for a later one, because the database's clock was set back."""
    now, repaired = database_time(), 0
    for schedule in Schedule.objects.filter(paused_at__isnull=True, next_run_at__gt=now):
        following = next_time(schedule.cron, schedule.time_zone, now)
        if following < schedule.next_run_at:
            repaired += _mine(schedule).update(next_run_at=following)
    return repaired + Schedule.objects.filter(
        not_before__gt=Now() + timedelta(seconds=2 * LONGEST_PAUSE_S)
    ).update(not_before=None)
