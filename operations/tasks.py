"""Tasks of this room for django-q2: short and idempotent."""

from operations.notifications.delivery import deliver_due
from registry.schedules import PeriodicTask

DELIVER_EVERY_S = 5
PERIODIC_TASKS = (PeriodicTask("notifications", "operations.tasks.deliver_notifications", DELIVER_EVERY_S),)


def deliver_notifications() -> dict[str, int]:
    return deliver_due()
