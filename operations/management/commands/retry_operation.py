"""Run a failed or cancelled operation again."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import interventions, lifecycle
from operations.actors import Actor
from operations.models import Operation


class Command(BaseCommand):
    help = "Run a FAILED or CANCELLED operation again, from the start or from its newest checkpoint."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("operation_id", metavar="ID")
        parser.add_argument("--resume", action="store_true", help="resume from the newest checkpoint")
        parser.add_argument("--json", action="store_true", help="print id and status as JSON")

    def handle(self, *args: Any, operation_id: str, resume: bool, json: bool, **options: Any) -> None:
        run_again = interventions.resume if resume else interventions.retry
        try:
            operation = run_again(operation_id, Actor("command:retry_operation"))
        except Operation.DoesNotExist as error:
            raise CommandError(f"Unknown operation {operation_id}.") from error
        except lifecycle.WrongState as error:
            raise CommandError(str(error)) from error
        summary = {"operation_id": operation.pk, "status": operation.status}
        self.stdout.write(encoding.dumps(summary) if json else f"{operation.pk} is {operation.status}")
