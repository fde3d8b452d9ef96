from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from registry import worker_secrets


class Command(BaseCommand):
    help = "Delete a stored secret of jobs. Operations whose jobs need it fail from then on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not worker_secrets.delete(name, Actor("command:delete_secret")):
            raise CommandError(f"The secret {name} does not exist.")
        self.stdout.write(f"{name} is deleted")
