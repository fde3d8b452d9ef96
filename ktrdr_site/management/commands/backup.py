"""Everything that counts, in one file."""

import json as encoding
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.backup.manifest import BackupError
from ktrdr_site.backup.saving import backup


class Command(BaseCommand):
    help = (
        "Writes database, artifacts and secrets into one archive of mode 0600. Everything may go on running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.tar", help="must not exist yet")
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="leave out secret-key and worker-token: agents enrol and people sign in again, webhooks get new secrets",
        )
        parser.add_argument("--json", action="store_true", help="print what was saved as JSON")

    def handle(self, *args: Any, file: Path, without_secrets: bool, json: bool, **options: Any) -> None:
        try:
            manifest = backup(file.absolute(), with_secrets=not without_secrets)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        said = manifest.summary()
        if json:
            self.stdout.write(encoding.dumps(said))
        else:
            self.stdout.write(
                f"{file}: {said['operations']} operations ({said['rows']} rows), {said['artifacts']} artifacts, "
                f"secrets: {', '.join(manifest.secrets) or 'none'}"
            )
        for sha256 in manifest.missing_artifacts:
            self.stderr.write(f"not saved: the artifact {sha256} is not whole on disk")
