"""One health sweep, now."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.health import sweep


class Command(BaseCommand):
    help = "Asks every worker once whether it is well, and writes down the answers (one health sweep)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        summary = sweep()
        if as_json:
            self.stdout.write(json.dumps(summary))
        elif summary is None:
            self.stdout.write("another process is sweeping at this moment")
        else:
            held = f", held back: {', '.join(summary['held_back'])}" if summary["held_back"] else ""
            self.stdout.write(
                f"{summary['workers']} workers: {summary['healthy']} healthy, {summary['failed']} failed; "
                f"{summary['lost']} attempts lost{held}"
            )
