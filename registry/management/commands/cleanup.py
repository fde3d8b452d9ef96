"""Run one cleanup."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.cleanup import cleanup, preview


class Command(BaseCommand):
    help = "Run one cleanup: remove workers that are gone and files that nothing refers to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="list what would be removed, and remove nothing"
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")

    def handle(self, *args: Any, as_json: bool, dry_run: bool, **options: Any) -> None:
        if dry_run:
            self._preview(as_json)
            return
        summary = cleanup()
        if as_json:
            self.stdout.write(json.dumps(summary))
        elif summary is None:
            self.stdout.write("another process is running a cleanup")
        else:
            removed = ", ".join(summary["removed_workers"]) or "none"
            self.stdout.write(f"removed workers: {removed}; files: {summary.get('removed_files', 0)}")

    def _preview(self, as_json: bool) -> None:
        summary = preview()
        if as_json:
            self.stdout.write(json.dumps(summary))
            return
        for name, value in summary.items():
            shown = f"{value:,}" if isinstance(value, int) else ", ".join(value) or "none"
            self.stdout.write(f"{name.replace('_', ' ')}: {shown}")
        self.stdout.write("This was a dry run; nothing was removed.")
