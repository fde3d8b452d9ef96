"""What django-q2 runs for this room: short and idempotent."""

from operations.notifications.chores import deliver
from registry.schedules import Chore

DELIVER_EVERY_S = 5
CHORES = (Chore("notifications", "operations.tasks.deliver_notifications", DELIVER_EVERY_S),)


def deliver_notifications() -> dict[str, int]:
    return deliver()
