"""Creates, changes, pauses, resumes and deletes schedules of users."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from access import audit, roles
from access.actors import Actor
from access.models import AuditEntry
from access.problems import Conflict, Invalid, invalid
from access.roles import Role, role_of
from operations import quotas
from operations.batches import build_any
from operations.insertion import Submitter
from operations.models import Schedule
from operations.registered_kinds import kind_of
from operations.requests import Submission
from operations.schedules.requests import ScheduleChange, ScheduleRequest
from operations.schedules.times import next_time
from operations.submission import find_same_request, require_storable_parameters
from worker_agent.values import escape, find_fault

MAX_SCHEDULES = 100
"""Of one user."""


def find_repeat(by: Submitter) -> Schedule | None:
    """Return the schedule that the same request created. Raises Invalid if its key was used for another request."""
    return find_same_request(Schedule.objects.all(), by)


def create(request: ScheduleRequest, by: Submitter) -> Schedule:
    """Store a schedule of the user, who submits it. Raises Invalid, Conflict."""
    assert by.user is not None, "a schedule belongs to a person"
    if reason := owner_refusal(by.user):
        raise Invalid(reason)
    require_valid(request.operation, by.user)
    try:
        return _store(request, by, by.user)
    except IntegrityError:
        # The same request arrived twice at once, and the other one was stored first.
        earlier = find_repeat(by)
        if earlier is None:
            raise
        return earlier


@transaction.atomic
def _store(request: ScheduleRequest, by: Submitter, owner: User) -> Schedule:
    # One after the other, so that all are counted.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    if Schedule.objects.filter(created_by=owner).count() >= MAX_SCHEDULES:
        raise Conflict(f"You have {MAX_SCHEDULES} schedules; delete one first.")
    schedule = Schedule.objects.create(
        **request.model_dump(exclude={"operation"}),
        submission=request.operation,
        created_by=owner,
        next_run_at=next_time(request.cron, request.time_zone, database_time()),
        idempotency_key=by.idempotency_key,
        request_sha256=by.request_sha256,
    )
    audit.record(AuditEntry.Act.SCHEDULE_CREATED, subject_of(schedule), by.actor)
    return schedule


def require_valid(item: dict[str, Any], owner: User) -> Submission:
    """Return the submission that the item describes now. Raises Invalid with pointers into `/operation`."""
    if (fault := find_fault(item)) is not None:
        raise invalid(f"/operation{escape(fault.pointer)}", f"The value {fault.problem}.")
    try:
        return build(item, owner)
    except Invalid as problem:
        errors = problem.errors or [{"pointer": "", "detail": str(problem.detail)}]
        located = [{**error, "pointer": f"/operation{error['pointer']}"} for error in errors]
        raise Invalid(str(problem.detail), errors=located) from problem


def build(item: dict[str, Any], owner: User) -> Submission:
    """Build the submission as the API does for its owner. Raises Invalid."""
    operation_type = str(item.get("operation_type"))
    kind = kind_of(operation_type)
    if kind.is_brief or kind.is_part or kind.imports_market_data:
        raise invalid("/operation_type", f"Operations of type {operation_type[:80]} cannot be scheduled.")
    submission = build_any(item)
    if not submission.queueing.queue:
        raise invalid("/queue", "`queue: false` is not available in a schedule.")
    require_storable_parameters(submission)
    quotas.require_priority(submission.queueing.priority, owner)
    return submission


@transaction.atomic
def change(schedule_id: str, changes: ScheduleChange, actor: Actor) -> Schedule:
    """Change name, times and rules. New times hold from now on. Raises Schedule.DoesNotExist."""
    schedule = _lock(schedule_id)
    fields = changes.model_dump(exclude_none=True)
    for name, value in fields.items():
        setattr(schedule, name, value)
    if {"cron", "time_zone"} & fields.keys():
        _restart(schedule)
    schedule.save()
    listed = ", ".join(f"{name}={value}" for name, value in fields.items())
    audit.record(AuditEntry.Act.SCHEDULE_CHANGED, subject_of(schedule), actor, listed)
    return schedule


@transaction.atomic
def pause(schedule_id: str, actor: Actor, reason: str) -> Schedule:
    """Submit nothing until somebody resumes. Raises Conflict if it is paused, Schedule.DoesNotExist."""
    schedule = _lock(schedule_id)
    if schedule.paused_at is not None:
        raise Conflict("The schedule is already paused.")
    Schedule.objects.filter(pk=schedule.pk).update(
        paused_at=Now(), pause_reason=reason or f"Paused by {actor.label}."
    )
    audit.record(AuditEntry.Act.SCHEDULE_PAUSED, subject_of(schedule), actor, reason)
    return Schedule.objects.get(pk=schedule.pk)


@transaction.atomic
def resume(schedule_id: str, actor: Actor) -> Schedule:
    """Continue with the next due time; those during the pause are skipped. Raises Conflict, Schedule.DoesNotExist."""
    schedule = _lock(schedule_id)
    if schedule.paused_at is None:
        raise Conflict("The schedule is not paused.")
    schedule.paused_at, schedule.pause_reason = None, ""
    _restart(schedule)
    schedule.save()
    audit.record(AuditEntry.Act.SCHEDULE_RESUMED, subject_of(schedule), actor)
    return schedule


@transaction.atomic
def delete(schedule_id: str, actor: Actor) -> None:
    """Delete the schedule and its log; its operations stay. Raises Schedule.DoesNotExist."""
    schedule = _lock(schedule_id)
    audit.record(AuditEntry.Act.SCHEDULE_DELETED, subject_of(schedule), actor)
    schedule.delete()


def owner_refusal(owner: User) -> str:
    """Return why the owner of a schedule may submit nothing now; empty if they may."""
    if not owner.is_active:
        return f"Its owner {owner.get_username()} is deactivated."
    if reason := roles.refusal(owner, Role.OPERATOR):
        return f"Its owner {owner.get_username()} may not submit operations: {reason}"
    return ""


def refusal(schedule: Schedule, user: User) -> str:
    """Explain why the user may not change the schedule, which submits as its owner; empty if they may."""
    if user.pk == schedule.created_by_id or role_of(user) >= Role.STAFF:
        return ""
    return f"Only {schedule.created_by.get_username()}, who owns this schedule, and staff may change it."


def database_time() -> datetime:
    """Return the time of the database, by which times are compared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        ((now,),) = cursor.fetchall()
    assert isinstance(now, datetime)
    return now


def subject_of(schedule: Schedule) -> str:
    return f"{schedule.name} ({schedule.schedule_id})"[:200]


def _lock(schedule_id: str) -> Schedule:
    return Schedule.objects.select_for_update().get(schedule_id=schedule_id)


def _restart(schedule: Schedule) -> None:
    """Forget what was due and what failed."""
    schedule.next_run_at = next_time(schedule.cron, schedule.time_zone, database_time())
    schedule.not_before, schedule.waits_for_last = None, False
    schedule.failures, schedule.problem = 0, ""
