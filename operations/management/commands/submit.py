"""Submit an operation for a strategy file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from access.problems import Problem
from operations.kind import all_kinds, find_kind
from operations.management.submitting import SubmittingCommand, command_error


class Command(SubmittingCommand):
    help = "Submit an operation for a strategy file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = [kind for kind in all_kinds() if kind.is_submitted_by_command]
        names = [name for kind in kinds for name in (kind.operation_type, *kind.former_names)]
        parser.add_argument("kind", choices=names)
        parser.add_argument("strategy", type=Path, help="STRATEGY.yaml")
        parser.add_argument("--symbols", nargs="+", help="default: the symbols of the strategy")
        parser.add_argument("--from", dest="start_date", metavar="DATE")
        parser.add_argument("--to", dest="end_date", metavar="DATE")
        parser.add_argument("--priority", type=int, default=0)
        for kind in kinds:
            kind.add_arguments(parser)
        super().add_arguments(parser)

    def handle(self, *args: Any, kind: str, strategy: Path, wait: bool, json: bool, **options: Any) -> None:
        found_kind = find_kind(kind)
        assert found_kind is not None, "the parser accepts only registered kinds"
        try:
            text = strategy.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"Could not read {strategy}: {error}") from error
        common = {
            "strategy_yaml": text,
            "priority": options["priority"],
            **{name: options[name] for name in ("start_date", "end_date") if options[name]},
        }
        try:
            request = found_kind.request_from_options({**options, "common": common})
            self.submit(found_kind.build(request), wait=wait, json=json)
        except Problem as problem:
            raise command_error(problem) from problem
