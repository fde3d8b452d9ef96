from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from registry import enrolment
from registry.models import EnrolmentToken


class Command(BaseCommand):
    help = "Let the workers of a pool announce an operation type that belongs to another pool."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pool", help="name of the pool's enrolment token")
        parser.add_argument("operation_type")

    def handle(self, *args: Any, pool: str, operation_type: str, **options: Any) -> None:
        if not EnrolmentToken.objects.filter(name=pool, revoked_at=None).exists():
            raise CommandError(f"There is no valid enrolment token named {pool}.")
        by = Actor("command:permit_operation_type")
        changed = enrolment.permit_operation_type(pool, operation_type, by)
        state = "may now announce" if changed else "could already announce"
        self.stdout.write(f"The workers of {pool} {state} {operation_type} operations.")
