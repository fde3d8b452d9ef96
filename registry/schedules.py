"""The schedules, stored as rows that the admin lists.

A row holds only when and whether a chore runs. Which function it runs is decided here, by the name of the row: a row is
data, and whoever can write one, or restores a foreign archive, must not choose code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from croniter import croniter
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

log = structlog.get_logger(__name__)

HEALTH_SWEEP = "health sweep"
PAUSED = 0
"""The value of `repeats` of a paused schedule, -1 of every other."""
RUNS_FOREVER = -1


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    name: str
    function: str
    interval_s: float


def own_tasks() -> tuple[PeriodicTask, ...]:
    """Return the chores of this room."""
    return (
        PeriodicTask(HEALTH_SWEEP, "registry.tasks.health_sweep", settings.HEALTH_INTERVAL_S),
        PeriodicTask("cleanup", "registry.tasks.registry_cleanup", settings.CLEANUP_INTERVAL_S),
    )


def ensure_schedules(others: Iterable[PeriodicTask] = ()) -> None:
    """Create the rows of this room and of `others`, reset all but their pause, and delete every other row."""
    tasks = (*own_tasks(), *others)
    for task in tasks:
        fixed: dict[str, Any] = {
            "func": task.function,
            "hook": None,
            "args": None,
            "kwargs": None,
            "cluster": None,
            "intended_date_kwarg": None,
            "schedule_type": Schedule.CRON,
            "cron": cron(task.interval_s),
            "next_run": timezone.now(),
        }
        if not Schedule.objects.filter(name=task.name).update(**fixed):
            Schedule.objects.create(name=task.name, repeats=RUNS_FOREVER, **fixed)
    foreign = Schedule.objects.exclude(name__in=[task.name for task in tasks])
    for name, function in foreign.values_list("name", "func"):
        log.warning("deleting a schedule that is not part of the product", schedule=name, function=function)
    foreign.delete()


def queue_due(others: Iterable[PeriodicTask] = ()) -> list[str]:
    """Queue the due chores and return their names.

    Replaces django-q2's own scheduler, which takes function, hook and options from the row.
    """
    tasks = {task.name: task for task in (*own_tasks(), *others)}
    with transaction.atomic():
        rows = Schedule.objects.select_for_update().filter(name__in=tasks)
        queued = [row for row in rows if row.repeats != PAUSED and _is_due(row, tasks[row.name])]
        for schedule in queued:
            task = tasks[schedule.name]
            now = timezone.now()
            next_run = _next_of(schedule.cron, now)
            if next_run is None:
                log.warning(
                    "schedule has no next time; using the interval of the settings", schedule=task.name
                )
            schedule.next_run = next_run or _next_run(task, now)
            schedule.task = async_task(task.function, q_options={"group": task.name})
            schedule.save(update_fields=["next_run", "task"])
    return [schedule.name for schedule in queued]


def _is_due(schedule: Schedule, task: PeriodicTask) -> bool:
    """Return whether its time has come; also if that lies beyond the next possible one: the clock was set back."""
    now = timezone.now()
    latest = _next_of(schedule.cron, now) or _next_run(task, now)
    return not now <= schedule.next_run <= latest


def is_paused(name: str) -> bool:
    return bool(Schedule.objects.filter(name=name, repeats=PAUSED).exists())


def _next_run(task: PeriodicTask, now: datetime) -> datetime:
    next_run = _next_of(cron(task.interval_s), now)
    assert next_run is not None, "the interval of the settings has a next time"
    return next_run


def _next_of(expression: str | None, now: datetime) -> datetime | None:
    """Return the next time of a cron expression; None for an invalid one, and one without a time, such as 30 February."""
    try:
        next_run: datetime = croniter(expression or "", now).get_next(datetime)
    except ValueError:
        return None
    return next_run


def cron(interval_s: float) -> str:
    """Return a cron expression with seconds as the sixth field, for the whole seconds or minutes nearest to `interval_s`."""
    seconds = max(1, round(interval_s))
    if seconds < 60:
        return f"* * * * * */{seconds}" if seconds > 1 else "* * * * * *"
    return f"*/{min(59, round(seconds / 60))} * * * *" if seconds >= 120 else "* * * * *"
