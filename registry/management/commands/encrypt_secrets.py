from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry import worker_secrets


class Command(BaseCommand):
    help = (
        "Encrypt all stored secrets with the current secret key. "
        "Afterwards the former key can be removed from KTRDR_SECRET_KEY_FALLBACKS."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        changed, failed = worker_secrets.encrypt_all_again()
        self.stdout.write(f"{changed} secrets are encrypted with the current key")
        if failed:
            raise CommandError(
                f"Unreadable with the current and the former keys: {', '.join(failed)}. Enter their values again."
            )
