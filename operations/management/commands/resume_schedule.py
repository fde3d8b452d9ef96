"""Resume a schedule."""

from typing import Any

from operations.actors import Actor
from operations.management.scheduling import ScheduleCommand
from operations.schedules import saving


class Command(ScheduleCommand):
    help = "Resume a paused schedule with its next due time."
    done = "resumed"

    def act(self, schedule_id: str, options: dict[str, Any]) -> None:
        saving.resume(schedule_id, Actor("command:resume_schedule"))
