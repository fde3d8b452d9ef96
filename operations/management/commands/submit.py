"""Submit an operation for a strategy file, or a study."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from access.problems import Problem
from operations.kind import all_kinds, find_kind
from operations.management.submitting import SubmittingCommand, command_error, read_file, submittables


class Command(SubmittingCommand):
    help = "Submit an operation for a strategy file, or a study."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = [kind for kind in all_kinds() if kind.is_submitted_by_command]
        names = [name for kind in kinds for name in (kind.operation_type, *kind.former_names)]
        parser.add_argument("kind", choices=[*names, *submittables])
        parser.add_argument("file", type=Path, metavar="FILE", help="STRATEGY.yaml, or the file of the study")
        parser.add_argument("--symbols", nargs="+", help="default: the symbols of the strategy")
        parser.add_argument("--from", dest="start_date", metavar="DATE")
        parser.add_argument("--to", dest="end_date", metavar="DATE")
        parser.add_argument("--priority", type=int)
        for kind in kinds:
            kind.add_arguments(parser)
        for submittable in submittables.values():
            submittable.add_arguments(parser)
        super().add_arguments(parser)

    def handle(self, *args: Any, kind: str, file: Path, **options: Any) -> None:
        try:
            if (submittable := submittables.get(kind)) is not None:
                sys.exit(submittable.submit(file, options, self.stdout))
            self._submit_operation(kind, file, options)
        except Problem as problem:
            raise command_error(problem) from problem

    def _submit_operation(self, name: str, file: Path, options: dict[str, Any]) -> None:
        kind = find_kind(name)
        assert kind is not None, "the parser accepts only registered kinds"
        common = {
            "strategy_yaml": read_file(file),
            "priority": options["priority"] or 0,
            **{name: options[name] for name in ("start_date", "end_date") if options[name]},
        }
        request = kind.request_from_options({**options, "common": common})
        self.submit(kind.build(request), wait=options["wait"], json=options["json"])
