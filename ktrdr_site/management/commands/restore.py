"""An archive of `backup` into an empty installation."""

import json as encoding
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.backup.manifest import BackupError, Manifest
from ktrdr_site.backup.restoring import check, restore


class Command(BaseCommand):
    help = (
        "Restores an archive of `backup` into an empty database and data directory; anything else is refused."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.tar")
        parser.add_argument(
            "--check", action="store_true", help="only read the archive and say what is in it"
        )
        parser.add_argument("--json", action="store_true", help="print what is in it as JSON")

    def handle(self, *args: Any, file: Path, json: bool, **options: Any) -> None:
        try:
            manifest = check(file) if options["check"] else restore(file)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}") from error
        if json:
            self.stdout.write(encoding.dumps(manifest.summary()))
        else:
            self._say(manifest, "is whole" if options["check"] else "is restored")

    def _say(self, manifest: Manifest, what: str) -> None:
        said = manifest.summary()
        self.stdout.write(
            f"The backup of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC {what}: "
            f"{said['operations']} operations ({said['rows']} rows), {said['artifacts']} artifacts"
        )
        if "secret-key" not in manifest.secrets:
            self.stdout.write(
                "It holds no secret key. Set KTRDR_SECRET_KEY to the one of then; with another key agents enrol again "
                "by themselves, people sign in again, and each webhook needs a new secret."
            )
        if manifest.missing_artifacts:
            self.stdout.write(f"{len(manifest.missing_artifacts)} artifacts were missing when it was made.")
