"""End a pause of dispatching."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from operations import dispatch_pauses
from operations.actors import Actor


class Command(BaseCommand):
    help = "Start operations again after pause_dispatching."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the state as JSON")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        was_paused = dispatch_pauses.end(Actor("command:resume_dispatching"))
        if json:
            self.stdout.write(encoding.dumps({"paused": False, "was_paused": was_paused}))
        else:
            self.stdout.write("Dispatching continues." if was_paused else "Dispatching was not paused.")
