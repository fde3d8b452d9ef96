"""Write stored bars as files."""

import hashlib
import json as encoding
import os
import shutil
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import artifacts
from operations.models import MarketData

MODE = 0o644


class Damaged(Exception):
    """The stored file is missing, or is not what was imported."""


class Command(BaseCommand):
    help = (
        "Write stored bars as SYMBOL_TIMEFRAME.parquet, which import_market_data of any installation reads."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="created if it does not exist; files are replaced")
        parser.add_argument(
            "--symbol", action="append", help="only this symbol; may be repeated (default: all)"
        )
        parser.add_argument(
            "--timeframe", action="append", help="only this timeframe; may be repeated (default: all)"
        )
        parser.add_argument("--json", action="store_true", help="print the files as JSON")

    def handle(self, *args: Any, directory: Path, json: bool, **options: Any) -> None:
        filters = {f"{name}__in": options[name] for name in ("symbol", "timeframe") if options[name]}
        rows = list(MarketData.objects.filter(**filters).order_by("symbol", "timeframe"))
        if not rows:
            raise CommandError("No market data match; the page Market data lists what is stored.")
        written, damaged = [], []
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for row in rows:
                target = directory / f"{row.symbol}_{row.timeframe}.parquet"
                try:
                    export(row.file_id, target)
                except Damaged as error:
                    damaged.append(f"{row.symbol} {row.timeframe}: {error}")
                else:
                    written.append({"file": str(target), "rows": row.rows, "sha256": row.file_id})
        except OSError as error:
            raise CommandError(f"Could not write to {directory}: {error}") from error
        if json:
            self.stdout.write(encoding.dumps(written))
        else:
            for entry in written:
                self.stdout.write(f"{entry['file']}: {entry['rows']:,} bars")
        if damaged:
            raise CommandError("Not exported: " + "; ".join(damaged))


def export(sha256: str, target: Path) -> None:
    """Copy a stored file, completely or not at all. Raises Damaged, OSError."""
    try:
        source = artifacts.open_file(sha256)
    except FileNotFoundError:
        raise Damaged("the stored file is missing") from None
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".exporting-")
    incoming = Path(name)
    try:
        with source, os.fdopen(descriptor, "w+b") as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
            file.seek(0)
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise Damaged("the stored file is damaged")
            os.fsync(file.fileno())
        incoming.chmod(MODE)
        incoming.replace(target)
    finally:
        incoming.unlink(missing_ok=True)
