"""Run one health sweep."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.health import sweep


class Command(BaseCommand):
    help = "Run one health sweep: check every worker once and store the results."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        summary = sweep()
        if as_json:
            self.stdout.write(json.dumps(summary))
        elif summary is None:
            self.stdout.write("another process is running a health sweep")
        else:
            held = f", held back: {', '.join(summary['held_back'])}" if summary["held_back"] else ""
            self.stdout.write(
                f"{summary['workers']} workers: {summary['healthy']} healthy, {summary['failed']} failed; "
                f"{summary['lost']} attempts lost{held}"
            )
