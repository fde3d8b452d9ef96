import json as encoding
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.backup.folder import BackupFolder
from ktrdr_site.backup.manifest import BackupError, Manifest
from ktrdr_site.backup.restoring import check, restore
from ktrdr_site.stack import preparation


class Command(BaseCommand):
    help = "Restore an archive of `backup` into an empty database and data directory; refuse any other."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            type=Path,
            metavar="FILE.tar",
            help="or a directory of `backup --into`: its newest archive",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="only verify the archive and print a summary; exit status 1 if it lacks artifacts or is empty",
        )
        parser.add_argument("--allow-missing", action="store_true", help="accept artifacts that are missing")
        parser.add_argument("--allow-empty", action="store_true", help="accept a backup without operations")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON")

    def handle(self, *args: Any, file: Path, json: bool, **options: Any) -> None:
        try:
            if file.is_dir():
                file = BackupFolder(file).newest_archive()
            if options["check"]:
                manifest = check(file)
                manifest.require_whole(
                    allow_missing=options["allow_missing"], allow_empty=options["allow_empty"]
                )
            else:
                preparation.allow_creation()
                manifest = restore(file)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}") from error
        if json:
            self.stdout.write(encoding.dumps(manifest.summary()))
        else:
            self._print(manifest, "is complete" if options["check"] else "was restored")

    def _print(self, manifest: Manifest, state: str) -> None:
        summary = manifest.summary()
        self.stdout.write(
            f"The backup of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC {state}: "
            f"{summary['operations']} operations ({summary['rows']} rows), {summary['artifacts']} artifacts"
        )
        if "secret-key" not in manifest.secrets:
            self.stdout.write(
                "It does not contain the secret key. Set KTRDR_SECRET_KEY to the old one; with another key agents enrol "
                "again automatically, users must sign in again, each webhook needs a new secret, and the values of secrets of jobs must be entered again."
            )
        if manifest.missing_artifacts:
            self.stdout.write(
                f"{len(manifest.missing_artifacts)} artifacts were missing when the backup was made."
            )
