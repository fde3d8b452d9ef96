"""List the workers as a table or as JSON."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.api.serializers import serialize_workers
from registry.models import Worker
from worker_agent.visible_text import one_line


class Command(BaseCommand):
    help = "List the registered workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print a JSON list")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        rows = serialize_workers(list(Worker.objects.prefetch_related("announced")))
        if as_json:
            self.stdout.write(json.dumps(rows, default=str))
            return
        if not rows:
            self.stdout.write(
                "no workers registered; start one with: python -m workers backtest --api-url URL"
            )
            return
        width = max(len(row["worker_id"]) for row in rows)
        for row in rows:
            status = row["status"] + (" (cordoned)" if row["cordoned"] else "")
            current = row["current_operation_id"] or "-"
            line = f"{row['worker_id']:{width}}  {row['worker_type']:12}  {status:36}  {current}  {row['version']}"
            self.stdout.write(one_line(f"{line}  {row['protocol_problem']}".rstrip()))
