import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry import encryption
from registry.models import WorkerSecret


class Command(BaseCommand):
    help = "List the stored secrets of jobs with their worker types, without their values."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON array")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        secrets = list(WorkerSecret.objects.all())
        if json:
            self.stdout.write(encoding.dumps([_describe(secret) for secret in secrets]))
            return
        for secret in secrets:
            state = (
                ""
                if encryption.is_readable(secret.ciphertext)
                else "  unreadable: encrypted with another KTRDR_SECRET_KEY"
            )
            self.stdout.write(f"{secret.name}  {', '.join(secret.worker_types) or 'no worker type'}{state}")


def _describe(secret: WorkerSecret) -> dict[str, Any]:
    return {
        "name": secret.name,
        "worker_types": secret.worker_types,
        "changed_at": secret.changed_at.isoformat(timespec="seconds"),
        "last_read_at": secret.last_read_at and secret.last_read_at.isoformat(timespec="seconds"),
        "is_readable": encryption.is_readable(secret.ciphertext),
    }
