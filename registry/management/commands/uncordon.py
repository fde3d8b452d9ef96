"""A worker may work again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.actors import Actor
from registry.workforce import uncordon


class Command(BaseCommand):
    help = "Lets a cordoned worker have new work again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("worker_id")

    def handle(self, *args: Any, worker_id: str, **options: Any) -> None:
        if not uncordon(worker_id, Actor("command:uncordon")):
            raise CommandError(f"there is no worker {worker_id}")
        self.stdout.write(f"{worker_id} may work again")
