"""Remove the history of operations that ended long ago."""

import json as encoding
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from operations import retention


def days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 1 <= value <= 36_500:
        raise ArgumentTypeError(f"{text[:80]} is not a number of days from 1 to 36500")
    return value


class Command(BaseCommand):
    help = "Remove the history of operations that ended long ago. Nothing is removed without this command."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for part in retention.PARTS:
            parser.add_argument(
                f"--{part.name}",
                type=days,
                metavar="DAYS",
                help=f"remove the {part.name} of operations that ended more than DAYS ago",
            )
        parser.add_argument(
            "--archive", type=Path, metavar="DIR", help="first append the rows to a file in DIR"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count the rows")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, archive: Path | None, dry_run: bool, json: bool, **options: Any) -> None:
        wanted = {part: options[part.name] for part in retention.PARTS if options[part.name] is not None}
        if not wanted:
            names = ", ".join(f"--{part.name}" for part in retention.PARTS)
            raise CommandError(f"Give at least one of {names}.")
        if archive is not None and not archive.is_dir():
            raise CommandError(f"{archive} is not a directory.")
        file = None if archive is None else retention.new_archive(archive, timezone.now())
        counts = {}
        for part, age in wanted.items():
            try:
                counts[part.name] = (
                    retention.count(part, age) if dry_run else retention.prune(part, age, file)
                )
            except OSError as error:
                raise CommandError(
                    f"Could not write {file}: {error.strerror}. Nothing more is removed."
                ) from error
        if json:
            self.stdout.write(encoding.dumps(counts))
            return
        verb = "would remove" if dry_run else "removed"
        for name, tables in counts.items():
            shown = ", ".join(f"{rows} of {table}" for table, rows in tables.items())
            self.stdout.write(f"{name}: {verb} {shown}")
