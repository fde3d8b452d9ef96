"""Data of the pages of schedules: the list, the form, the next due times, and one schedule with its log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from operations.models import Schedule, ScheduleRun
from operations.presentation.forms import Form, field_of
from operations.schedules import times
from operations.schedules.requests import ScheduleRequest
from operations.schedules.saving import database_time

MAX_ROWS = 500
SHOWN_RUNS = 50
RULES = (
    field_of(ScheduleRequest, "name", "Name"),
    field_of(
        ScheduleRequest,
        "cron",
        "Times",
        "Minute, hour, day of month, month, day of week: 30 6 * * mon-fri is half past six on weekdays.",
    ),
    field_of(ScheduleRequest, "time_zone", "Time zone", "An IANA name, such as Europe/Berlin."),
    field_of(
        ScheduleRequest,
        "catch_up",
        "Missed times",
        "If the backend was down: submit once for all missed times, or skip them.",
    ),
    field_of(
        ScheduleRequest,
        "overlap",
        "If the last operation has not ended",
        "Skip the time, or queue: submit when the last one has ended.",
    ),
)
SUBMISSION = field_of(
    ScheduleRequest,
    "operation",
    "Submission",
    "The body of POST /operations as JSON, or the operation type with the fields of its own request.",
    "json",
)
FORM = Form("New schedule", "/schedules", "Create schedule", (*RULES, SUBMISSION))
CHANGE_FORM = Form("Times and rules", "", "Save", RULES)


@dataclass(frozen=True, slots=True)
class NextTimes:
    """The next due times of what was entered, or why there are none."""

    times: Sequence[datetime] = ()
    problem: str = ""


def list_schedules() -> list[Schedule]:
    rows = Schedule.objects.select_related("created_by", "last_operation").order_by("-created_at", "-pk")
    return list(rows[:MAX_ROWS])


def newest_runs(schedule: Schedule) -> list[ScheduleRun]:
    return list(schedule.runs.select_related("operation")[:SHOWN_RUNS])


def next_times(cron: str, time_zone: str) -> NextTimes:
    try:
        expression = times.validate_cron(cron[:200])
        zone = times.validate_time_zone(time_zone.strip() or "UTC")
    except ValueError as error:
        return NextTimes(problem=f"{error}.")
    return NextTimes(times.next_times(expression, zone, database_time()))


def values_of(schedule: Schedule) -> dict[str, str]:
    return {field.name: str(getattr(schedule, field.name)) for field in RULES}
