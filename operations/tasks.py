"""Tasks of this room for django-q2: short and idempotent."""

from operations.notifications.delivery import deliver_due
from operations.schedules.running import run_due
from registry.schedules import PeriodicTask

DELIVER_EVERY_S = 5
SUBMIT_EVERY_S = 10
PERIODIC_TASKS = (
    PeriodicTask("notifications", "operations.tasks.deliver_notifications", DELIVER_EVERY_S),
    PeriodicTask("schedules of users", "operations.tasks.submit_scheduled", SUBMIT_EVERY_S),
)


def deliver_notifications() -> dict[str, int]:
    return deliver_due()


def submit_scheduled() -> dict[str, int]:
    return run_due()
