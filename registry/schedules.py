"""The schedules, stored as rows that the admin lists."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    name: str
    function: str
    interval_s: float


def ensure_schedules(others: Iterable[PeriodicTask] = ()) -> None:
    """Create the rows of this room and of `others`, or update their intervals from the settings."""
    own = (
        PeriodicTask("health sweep", "registry.tasks.health_sweep", settings.HEALTH_INTERVAL_S),
        PeriodicTask("cleanup", "registry.tasks.registry_cleanup", settings.CLEANUP_INTERVAL_S),
    )
    for task in (*own, *others):
        Schedule.objects.update_or_create(
            name=task.name,
            defaults={
                "func": task.function,
                "schedule_type": Schedule.CRON,
                "cron": cron(task.interval_s),
                "repeats": -1,
                "next_run": timezone.now(),
            },
        )


def cron(interval_s: float) -> str:
    """Return a cron expression with seconds as the sixth field, for the whole seconds or minutes nearest to `interval_s`."""
    seconds = max(1, round(interval_s))
    if seconds < 60:
        return f"* * * * * */{seconds}" if seconds > 1 else "* * * * * *"
    return f"*/{min(59, round(seconds / 60))} * * * *" if seconds >= 120 else "* * * * *"
