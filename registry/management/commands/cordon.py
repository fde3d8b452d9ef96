"""No new work for a worker."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.actors import Actor
from registry.workforce import cordon


class Command(BaseCommand):
    help = "Gives a worker no new work; with --drain it leaves when it is idle."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("worker_id")
        parser.add_argument("--reason", default="")
        parser.add_argument("--drain", action="store_true")

    def handle(self, *args: Any, worker_id: str, reason: str, drain: bool, **options: Any) -> None:
        if not cordon(worker_id, Actor("command:cordon"), reason, drain=drain):
            raise CommandError(f"there is no worker {worker_id}")
        self.stdout.write(f"{worker_id} is {'draining' if drain else 'cordoned'}")
