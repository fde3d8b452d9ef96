"""The two schedules, as rows that the admin shows."""

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule


def ensure() -> None:
    """Creates the rows, or brings their interval up to date with the settings."""
    for name, function, interval_s in (
        ("health sweep", "registry.tasks.health_sweep", settings.HEALTH_INTERVAL_S),
        ("cleanup", "registry.tasks.registry_cleanup", settings.CLEANUP_INTERVAL_S),
    ):
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": function,
                "schedule_type": Schedule.CRON,
                "cron": cron(interval_s),
                "repeats": -1,
                "next_run": timezone.now(),
            },
        )


def cron(interval_s: float) -> str:
    """A cron expression, the sixth field being seconds: the whole seconds or minutes nearest to `interval_s`."""
    seconds = max(1, round(interval_s))
    if seconds < 60:
        return f"* * * * * */{seconds}" if seconds > 1 else "* * * * * *"
    return f"*/{min(59, round(seconds / 60))} * * * *" if seconds >= 120 else "* * * * *"
