"""Uncordon a worker."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from registry.worker_actions import uncordon


class Command(BaseCommand):
    help = "Assign work to a cordoned worker again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("worker_id")
        parser.add_argument("--json", action="store_true", help="print the worker's state as JSON")

    def handle(self, *args: Any, worker_id: str, json: bool, **options: Any) -> None:
        if not uncordon(worker_id, Actor("command:uncordon")):
            raise CommandError(f"Unknown worker {worker_id}")
        state = {"worker_id": worker_id, "cordoned": False, "draining": False}
        self.stdout.write(encoding.dumps(state) if json else f"{worker_id} is uncordoned")
