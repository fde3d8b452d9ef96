"""List the schedules of users, newest first."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rest_framework.renderers import JSONRenderer

from operations.api.schedules import ScheduleSerializer
from operations.models import Schedule
from worker_agent.visible_text import one_line

COLUMNS = "{:<18} {:<17} {:<24} {:<16} {:<16} {}"


class Command(BaseCommand):
    help = "List the schedules of users, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print them in the format of the API")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        rows = list(Schedule.objects.select_related("created_by"))
        if json:
            data = encoding.loads(JSONRenderer().render(ScheduleSerializer(rows, many=True).data))
            self.stdout.write(encoding.dumps(data, indent=2))
            return
        self.stdout.write(COLUMNS.format("ID", "NEXT (UTC)", "TIMES", "TIME ZONE", "OWNER", "NAME"))
        for row in rows:
            following = "paused" if row.paused_at else f"{row.next_run_at:%Y-%m-%d %H:%M}"
            owner = row.created_by.get_username()
            line = COLUMNS.format(row.schedule_id, following, row.cron, row.time_zone, owner, row.name)
            self.stdout.write(one_line(line.rstrip()))
