"""Pause a schedule."""

from argparse import ArgumentParser
from typing import Any

from operations.actors import Actor
from operations.management.scheduling import ScheduleCommand
from operations.schedules import saving


class Command(ScheduleCommand):
    help = "Pause a schedule: it submits nothing until it is resumed."
    done = "paused"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", help="shown with the schedule")

    def act(self, schedule_id: str, options: dict[str, Any]) -> None:
        saving.pause(schedule_id, Actor("command:pause_schedule"), options["reason"][:200])
