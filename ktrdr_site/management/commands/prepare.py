from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.stack import preparation
from ktrdr_site.stack.preparation import NotReadyError


class Command(BaseCommand):
    help = (
        "Prepare a deployment: create the schema, static files and the user `admin` with DATA_DIR/admin-password and "
        "DATA_DIR/api-token. Running it again changes nothing."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="wait so long for a database that does not respond yet",
        )

    def handle(self, *args: Any, wait: float, **options: Any) -> None:
        try:
            preparation.connect(wait_s=wait)
        except NotReadyError as error:
            raise CommandError(f"KTRDR cannot start: {error}") from error
        preparation.prepare(settings.DATA_DIR)
        self.stdout.write(f"Ready; the secrets of the first start are in {settings.DATA_DIR}")
