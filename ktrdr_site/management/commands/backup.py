import json as encoding
from argparse import ArgumentParser
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.backup.folder import BackupFolder
from ktrdr_site.backup.manifest import BackupError, Manifest
from ktrdr_site.backup.rehearsal import rehearse
from ktrdr_site.backup.restoring import read_manifest
from ktrdr_site.backup.saving import backup


class Command(BaseCommand):
    help = (
        "Save database, artifacts and secrets into one archive of mode 0600, or into a folder of archives that share "
        "their artifacts. The system may keep running. Exit status 1 if an artifact is missing or nothing is saved; "
        "the archive is written all the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        target = parser.add_mutually_exclusive_group(required=True)
        target.add_argument("file", nargs="?", type=Path, metavar="FILE.tar", help="must not exist yet")
        target.add_argument(
            "--into",
            type=Path,
            metavar="DIRECTORY",
            help="write ktrdr-TIME.tar there, and copy only artifacts that the directory does not have",
        )
        parser.add_argument(
            "--keep",
            type=float,
            metavar="DAYS",
            help="with --into: remove older archives, and artifacts that only they need",
        )
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="omit secret-key and worker-token; agents then enrol and users sign in again, and the secrets of webhooks and jobs must be set again",
        )
        parser.add_argument(
            "--verify",
            action="store_true",
            help="restore it into a temporary installation and compare rows and artifacts",
        )
        parser.add_argument("--allow-missing", action="store_true", help="accept artifacts that are missing")
        parser.add_argument("--allow-empty", action="store_true", help="accept a backup without operations")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON")

    def handle(self, *args: Any, file: Path | None, into: Path | None, **options: Any) -> None:
        if options["keep"] is not None and (into is None or not options["keep"] > 0):
            raise CommandError("--keep needs --into and a number of days above 0")
        folder = None if into is None else BackupFolder(into.absolute())
        try:
            with nullcontext() if folder is None else folder.lock():
                self._save(
                    (file or Path()).absolute() if folder is None else folder.new_archive(), folder, options
                )
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file or into} cannot be written: {error.strerror}") from error

    def _save(self, target: Path, folder: BackupFolder | None, options: dict[str, Any]) -> None:
        manifest = backup(target, with_secrets=not options["without_secrets"], folder=folder)
        summary = manifest.summary() | {"file": str(target)}
        if not options["json"]:
            self._print(target, manifest)
        for sha256 in manifest.missing_artifacts:
            self.stderr.write(f"not saved: artifact {sha256} is missing or damaged on disk")
        try:
            manifest.require_whole(allow_missing=options["allow_missing"], allow_empty=options["allow_empty"])
            if options["verify"]:
                rehearse(target)
                summary["verified"] = True
            if folder is not None and options["keep"] is not None:
                archives, copies = folder.remove_older(timedelta(days=options["keep"]), read_manifest)
                summary |= {"removed_archives": archives, "removed_artifacts": copies}
        finally:
            if options["json"]:
                self.stdout.write(encoding.dumps(summary))
        if options["verify"] and not options["json"]:
            self.stdout.write("Restored into a temporary installation: all rows and artifacts are the same.")

    def _print(self, target: Path, manifest: Manifest) -> None:
        summary = manifest.summary()
        self.stdout.write(
            f"{target}: {summary['operations']} operations ({summary['rows']} rows), {summary['artifacts']} artifacts, "
            f"secrets: {', '.join(manifest.secrets) or 'none'}"
        )
