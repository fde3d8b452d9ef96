"""Runs a failed or cancelled operation once more."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import interventions, lifecycle
from operations.actors import Actor
from operations.models import Operation


class Command(BaseCommand):
    help = "Runs a FAILED or CANCELLED operation once more, from the start or from its newest checkpoint."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("operation_id", metavar="ID")
        parser.add_argument("--resume", action="store_true", help="from the newest checkpoint")
        parser.add_argument("--json", action="store_true", help="print id and status as JSON")

    def handle(self, *args: Any, operation_id: str, resume: bool, json: bool, **options: Any) -> None:
        again = interventions.resume if resume else interventions.retry
        try:
            operation = again(operation_id, Actor("command:retry_operation"))
        except Operation.DoesNotExist as error:
            raise CommandError(f"There is no operation {operation_id}.") from error
        except lifecycle.WrongState as error:
            raise CommandError(str(error)) from error
        said = {"operation_id": operation.pk, "status": operation.status}
        self.stdout.write(encoding.dumps(said) if json else f"{operation.pk} is {operation.status}")
