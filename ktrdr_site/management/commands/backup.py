import json as encoding
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.backup.manifest import BackupError
from ktrdr_site.backup.saving import backup


class Command(BaseCommand):
    help = (
        "Save database, artifacts and secrets into one archive of mode 0600. The system may keep running. "
        "Exit status 1 if an artifact is missing or nothing is saved; the archive is written all the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.tar", help="must not exist yet")
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="omit secret-key and worker-token; agents then enrol and users sign in again, and webhooks need new secrets",
        )
        parser.add_argument("--allow-missing", action="store_true", help="accept artifacts that are missing")
        parser.add_argument("--allow-empty", action="store_true", help="accept a backup without operations")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON")

    def handle(self, *args: Any, file: Path, without_secrets: bool, json: bool, **options: Any) -> None:
        try:
            manifest = backup(file.absolute(), with_secrets=not without_secrets)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        summary = manifest.summary()
        if json:
            self.stdout.write(encoding.dumps(summary))
        else:
            self.stdout.write(
                f"{file}: {summary['operations']} operations ({summary['rows']} rows), {summary['artifacts']} artifacts, "
                f"secrets: {', '.join(manifest.secrets) or 'none'}"
            )
        for sha256 in manifest.missing_artifacts:
            self.stderr.write(f"not saved: artifact {sha256} is missing or damaged on disk")
        try:
            manifest.require_whole(allow_missing=options["allow_missing"], allow_empty=options["allow_empty"])
        except BackupError as error:
            raise CommandError(str(error)) from error
