"""Follow an operation until it ends."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.following import follow_until_detached
from operations.models import Operation


class Command(BaseCommand):
    help = "Follow an operation until it ends and print its result; exit 0 completed, 1 failed, 3 cancelled. Ctrl-C leaves it running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("operation_id", metavar="ID")

    def handle(self, *args: Any, operation_id: str, **options: Any) -> None:
        try:
            sys.exit(follow_until_detached(operation_id, sys.stderr, self.stdout))
        except Operation.DoesNotExist as error:
            raise CommandError(f"Unknown operation {operation_id}.") from error
