"""Cancels an operation."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import lifecycle
from operations.actors import Actor
from operations.models import Operation


class Command(BaseCommand):
    help = "Cancels an operation: at once where it waits, else as soon as its worker has ended it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("operation_id", metavar="ID")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, operation_id: str, reason: str, **options: Any) -> None:
        try:
            operation = lifecycle.cancel(operation_id, Actor("command:cancel_operation"), reason)
        except Operation.DoesNotExist as error:
            raise CommandError(f"There is no operation {operation_id}.") from error
        except lifecycle.WrongState as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{operation.pk} is {operation.status}")
