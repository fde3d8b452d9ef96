"""Cancel an operation."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import interventions, lifecycle
from operations.actors import Actor
from operations.models import Operation


class Command(BaseCommand):
    help = "Cancel an operation: immediately if it is waiting, otherwise when its worker has stopped it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("operation_id", metavar="ID")
        parser.add_argument("--reason", default="")
        parser.add_argument("--json", action="store_true", help="print id and status as JSON")

    def handle(self, *args: Any, operation_id: str, reason: str, json: bool, **options: Any) -> None:
        try:
            operation = interventions.cancel(operation_id, Actor("command:cancel_operation"), reason)
        except Operation.DoesNotExist as error:
            raise CommandError(f"Unknown operation {operation_id}.") from error
        except lifecycle.WrongState as error:
            raise CommandError(str(error)) from error
        summary = {"operation_id": operation.pk, "status": operation.status}
        self.stdout.write(encoding.dumps(summary) if json else f"{operation.pk} is {operation.status}")
