"""List operations, newest first."""

import json as encoding
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from rest_framework.renderers import JSONRenderer

from operations import progress
from operations.api.serializers import OperationSerializer, operations_for_serializer
from operations.states import Status
from operations.waiting import explain_waits
from worker_agent.visible_text import one_line

COLUMNS = "{:<18} {:<14} {:<12} {:>4}  {:<20} {}"


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


class Command(BaseCommand):
    help = "List operations, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--status", type=str.upper, choices=[status.value for status in Status])
        parser.add_argument(
            "--limit", type=positive, default=50, help="maximum number of operations (%(default)s)"
        )
        parser.add_argument(
            "--json", action="store_true", help="print complete operations in the format of the API"
        )

    def handle(self, *args: Any, status: str | None, limit: int, json: bool, **options: Any) -> None:
        rows = operations_for_serializer().order_by("-created_at", "-operation_id")
        if status:
            rows = rows.filter(status=status)
        operations = list(rows[:limit])
        explain_waits(operations)
        if json:
            data = encoding.loads(JSONRenderer().render(OperationSerializer(operations, many=True).data))
            self.stdout.write(encoding.dumps(data, indent=2))
            return
        operations = [progress.refresh(row) for row in operations]
        self.stdout.write(COLUMNS.format("ID", "TYPE", "STATUS", "%", "WORKER", "WAITS FOR"))
        for row in operations:
            done = f"{row.progress.get('percentage') or 0:.0f}"
            line = COLUMNS.format(
                row.pk, row.operation_type, row.status, done, row.worker_id, row.waiting_reason
            )
            self.stdout.write(one_line(line.rstrip()))
