"""Create a schedule for a user."""

import json as encoding
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from access.problems import Problem, validate
from operations.actors import Actor
from operations.insertion import Submitter
from operations.management.submitting import command_error, read_file
from operations.models import Schedule
from operations.schedules import saving
from operations.schedules.requests import ScheduleRequest

FIELDS = ("name", "cron", "time_zone", "catch_up", "overlap")


class Command(BaseCommand):
    help = "Repeat a submission at the times of a cron expression, on behalf of a user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, metavar="FILE", help="the submission as JSON: the body of POST /operations"
        )
        parser.add_argument("--user", required=True, metavar="NAME", help="its owner, who submits it")
        parser.add_argument("--name", required=True)
        parser.add_argument("--cron", required=True, help='five fields, such as "30 6 * * mon-fri"')
        parser.add_argument("--time-zone", default="UTC", metavar="ZONE", help="IANA name (%(default)s)")
        parser.add_argument(
            "--catch-up",
            choices=Schedule.CatchUp.values,
            default="once",
            help="for missed times (%(default)s)",
        )
        parser.add_argument(
            "--overlap",
            choices=Schedule.Overlap.values,
            default="skip",
            help="if the last operation has not ended (%(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print id and next due time as JSON")

    def handle(self, *args: Any, file: Path, user: str, json: bool, **options: Any) -> None:
        owner = User.objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"user {user} does not exist")
        by = Submitter(user=owner, actor=Actor("command:create_schedule"))
        try:
            body = {**{name: options[name] for name in FIELDS}, "operation": _read_object(file)}
            schedule = saving.create(validate(ScheduleRequest, body), by)
        except Problem as problem:
            raise command_error(problem) from problem
        following = schedule.next_run_at.isoformat(timespec="minutes")
        summary = {"schedule_id": schedule.schedule_id, "next_run_at": following}
        self.stdout.write(
            encoding.dumps(summary) if json else f"{schedule.schedule_id} is due at {following}"
        )


def _read_object(path: Path) -> Any:
    try:
        return encoding.loads(read_file(path))
    except ValueError as error:
        raise CommandError(f"{path} is not valid JSON: {error}") from error
