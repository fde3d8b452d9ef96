import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from access.actors import Actor
from registry import enrolment


class Command(BaseCommand):
    help = (
        "Print a new enrolment token for a pool of workers. It is shown only once: only its hash is stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the pool or machine")
        parser.add_argument(
            "--worker-type",
            action="append",
            default=[],
            help="worker type that the token may enrol (repeatable; default: any)",
        )
        parser.add_argument(
            "--operation-type",
            action="append",
            default=[],
            help=(
                "operation type of another pool that its workers may announce, beside those of its worker types "
                "(repeatable)"
            ),
        )
        parser.add_argument("--json", action="store_true", help="print name, worker types and token as JSON")

    def handle(
        self,
        *args: Any,
        name: str,
        worker_type: list[str],
        operation_type: list[str],
        json: bool,
        **options: Any,
    ) -> None:
        by = Actor("command:create_enrolment_token")
        row, token = enrolment.issue(name[:100], worker_type, by, operation_types=operation_type)
        created = {
            "name": row.name,
            "worker_types": row.worker_types,
            "operation_types": row.operation_types,
            "token": token,
        }
        self.stdout.write(encoding.dumps(created) if json else token)
