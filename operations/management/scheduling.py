"""Shared by the commands that act on one schedule."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.problems import Problem
from operations.management.submitting import command_error
from operations.models import Schedule


class ScheduleCommand(BaseCommand):
    """A command with the id of a schedule."""

    done: str
    """The rest of the sentence: "<name> is paused"."""

    def act(self, schedule_id: str, options: dict[str, Any]) -> None:
        """Act on the schedule. Raises Problem, Schedule.DoesNotExist."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schedule_id", metavar="ID")
        parser.add_argument("--json", action="store_true", help="print the id as JSON")

    def handle(self, *args: Any, schedule_id: str, json: bool, **options: Any) -> None:
        try:
            self.act(schedule_id, options)
        except Schedule.DoesNotExist as error:
            raise CommandError(f"Unknown schedule {schedule_id}.") from error
        except Problem as problem:
            raise command_error(problem) from problem
        self.stdout.write(
            encoding.dumps({"schedule_id": schedule_id}) if json else f"{schedule_id} is {self.done}"
        )
