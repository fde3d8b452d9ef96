"""A worker may work again."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from registry.workforce import uncordon


class Command(BaseCommand):
    help = "Lets a cordoned worker have new work again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("worker_id")
        parser.add_argument("--json", action="store_true", help="print the worker's state as JSON")

    def handle(self, *args: Any, worker_id: str, json: bool, **options: Any) -> None:
        if not uncordon(worker_id, Actor("command:uncordon")):
            raise CommandError(f"there is no worker {worker_id}")
        said = {"worker_id": worker_id, "cordoned": False, "draining": False}
        self.stdout.write(encoding.dumps(said) if json else f"{worker_id} may work again")
