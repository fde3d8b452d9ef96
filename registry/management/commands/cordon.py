"""Cordon a worker."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from registry.worker_actions import cordon


class Command(BaseCommand):
    help = "Assign no new work to a worker; with --drain it also shuts down when idle."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("worker_id")
        parser.add_argument("--reason", default="")
        parser.add_argument("--drain", action="store_true")
        parser.add_argument("--json", action="store_true", help="print the worker's state as JSON")

    def handle(
        self, *args: Any, worker_id: str, reason: str, drain: bool, json: bool, **options: Any
    ) -> None:
        if not cordon(worker_id, Actor("command:cordon"), reason, drain=drain):
            raise CommandError(f"Unknown worker {worker_id}")
        state = {"worker_id": worker_id, "cordoned": True, "draining": drain}
        text = f"{worker_id} is {'draining' if drain else 'cordoned'}"
        self.stdout.write(encoding.dumps(state) if json else text)
