"""Delete a schedule."""

from typing import Any

from operations.actors import Actor
from operations.management.scheduling import ScheduleCommand
from operations.schedules import saving


class Command(ScheduleCommand):
    help = "Delete a schedule and its log; the operations that it submitted stay."
    done = "deleted"

    def act(self, schedule_id: str, options: dict[str, Any]) -> None:
        saving.delete(schedule_id, Actor("command:delete_schedule"))
