"""List operations, newest first."""

import json as encoding
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from rest_framework.renderers import JSONRenderer

from operations import progress
from operations.api.serializers import OperationSerializer, operations_for_serializer
from operations.headline import Headline
from operations.listed_results import headlines_of, with_listed_results
from operations.models import Operation
from operations.states import Status
from operations.waiting import explain_waits
from worker_agent.visible_text import one_line

COLUMNS = "{:<18} {:<14} {:<12} {:>4}  {:<20} {:<24} {}"
UNUSED = ("parameters", "note", "error_message", "error_traceback")


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
        rows = Operation.objects.order_by("-created_at", "-operation_id")
        if status:
            rows = rows.filter(status=status)
        if json:
            operations = list(operations_for_serializer(rows)[:limit])
            explain_waits(operations)
            data = encoding.loads(JSONRenderer().render(OperationSerializer(operations, many=True).data))
            self.stdout.write(encoding.dumps(data, indent=2))
            return
        operations = list(with_listed_results(rows).defer(*UNUSED)[:limit])
        explain_waits(operations)
        self.stdout.write(
            COLUMNS.format("ID", "TYPE", "STATUS", "%", "WORKER", "RESULT", "WAITS FOR").rstrip()
        )
        headlines = headlines_of(operations)
        for row in operations:
            self._write(progress.refresh(row), headlines.get(row.pk))

    def _write(self, row: Operation, headline: Headline | None) -> None:
        line = COLUMNS.format(
            row.pk,
            row.operation_type,
            row.status,
            f"{row.progress.get('percentage') or 0:.0f}",
            row.worker_id,
            f"{headline.name} {headline.text}".strip() if headline else "",
            row.waiting_reason,
        )
        self.stdout.write(one_line(line.rstrip()))
