"""Store a file and submit its import."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError

from access.problems import Problem, validate
from operations import artifacts
from operations.kinds.data_import.kind import build
from operations.kinds.data_import.request import READING_OPTIONS, ImportRequest
from operations.management.submitting import SubmittingCommand, command_error

CHUNK = 1024 * 1024


class Command(SubmittingCommand):
    help = "Store a file of bars (CSV, Parquet, Feather, Excel or JSON) and submit its import; a worker validates it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--symbol", required=True)
        parser.add_argument("--timeframe", required=True)
        parser.add_argument(
            "--adjust", action="store_true", help="apply the adjusted close to open, high, low and close"
        )
        parser.add_argument(
            "--timezone",
            help="time zone of times without an offset (default: found by the sessions of known markets)",
        )
        parser.add_argument(
            "--stamped", choices=("open", "close"), help="whether times are those of the open or the close"
        )
        parser.add_argument("--decimal", help="decimal mark of the numbers: . or , (or point, comma)")
        parser.add_argument("--layout", help="source of the file, where two sources write the same layout")
        parser.add_argument("--point-size", help="price of a point, for a spread in points")
        super().add_arguments(parser)

    def handle(self, *args: Any, file: Path, wait: bool, json: bool, **options: Any) -> None:
        fields = {
            name: options[name]
            for name in ("symbol", "timeframe", "adjust", *READING_OPTIONS)
            if options[name]
        }
        try:
            import_request = validate(ImportRequest, fields)
            with file.open("rb") as source:
                stored = artifacts.put(chunks(source))
            self.submit(build(import_request, stored, file.name), wait=wait, json=json)
        except artifacts.NoSpace as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Could not read {file}: {error}") from error
        except Problem as problem:
            raise command_error(problem) from problem


def chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk
