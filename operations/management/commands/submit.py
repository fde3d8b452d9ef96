"""Submit an operation for a strategy file, of a type that workers announced, or a study."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from pydantic import BaseModel

from access.problems import Problem, validate
from operations import seed_runs
from operations.insertion import Submitter
from operations.kind import Kind
from operations.management.submitting import SubmittingCommand, command_error, read_file, submittables
from operations.presentation.forms import PARAMETERS, Field, Form, value_of
from operations.registered_kinds import all_kinds, find_kind, kind_of
from operations.requests import GenericRequest


class Command(SubmittingCommand):
    help = (
        "Submit an operation for a strategy file, an operation of a type that workers announced, or a study."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = [kind for kind in all_kinds() if kind.is_submitted_by_command]
        names = [name for kind in kinds for name in (kind.operation_type, *kind.former_names)]
        parser.add_argument(
            "kind",
            metavar="TYPE",
            help=f"{', '.join([*names, *submittables])}, or a type that workers announced",
        )
        parser.add_argument(
            "file",
            type=Path,
            nargs="?",
            metavar="FILE",
            help="STRATEGY.yaml, the file of the study, or the parameters of an announced type as JSON",
        )
        parser.add_argument(
            "-p",
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter of an announced type; it has precedence over FILE",
        )
        parser.add_argument("--symbols", nargs="+", help="default: the symbols of the strategy")
        parser.add_argument("--from", dest="start_date", metavar="DATE")
        parser.add_argument("--to", dest="end_date", metavar="DATE")
        parser.add_argument("--priority", type=int)
        parser.add_argument(
            "--seeds",
            type=int,
            metavar="N",
            help="N operations with different seeds, as a seed run; for kinds with a seed",
        )
        for kind in kinds:
            kind.add_arguments(parser)
        for submittable in submittables.values():
            submittable.add_arguments(parser)
        super().add_arguments(parser)

    def handle(self, *args: Any, kind: str, file: Path | None, **options: Any) -> None:
        try:
            if kind not in submittables and find_kind(kind) is None:
                self._submit_announced(kind, file, options)
                return
            if options["parameter"]:
                raise CommandError(f"{kind} does not take -p; see manage.py submit --help")
            if file is None:
                raise CommandError(f"{kind} needs a FILE")
            if (submittable := submittables.get(kind)) is not None:
                sys.exit(submittable.submit(file, options, self.stdout))
            self._submit_operation(kind, file, options)
        except Problem as problem:
            raise command_error(problem) from problem

    def _submit_announced(self, name: str, file: Path | None, options: dict[str, Any]) -> None:
        kind = kind_of(name)
        form = kind.load_form()
        if form is None:
            raise CommandError(f"No worker has announced operations of type {name}.")
        parameters = {**(_read_object(file) if file else {}), **_parameters(form, options["parameter"])}
        request = {"operation_type": name, "parameters": parameters, "priority": options["priority"] or 0}
        submission = kind.build_generic(validate(GenericRequest, request))
        self.submit(submission, wait=options["wait"], json=options["json"])

    def _submit_operation(self, name: str, file: Path, options: dict[str, Any]) -> None:
        kind = find_kind(name)
        if kind is None or not kind.is_submitted_by_command:
            raise CommandError(f"Operations of type {name} are not submitted by this command.")
        common = {
            "strategy_yaml": read_file(file),
            "priority": options["priority"] or 0,
            **{name: options[name] for name in ("start_date", "end_date") if options[name]},
        }
        request = kind.request_from_options({**options, "common": common})
        if options["seeds"] is not None:
            self._submit_seeds(kind, request, options)
            return
        self.submit(kind.build(request), wait=options["wait"], json=options["json"])

    def _submit_seeds(self, kind: Kind, request: BaseModel, options: dict[str, Any]) -> None:
        """Submit the request with several seeds and print the id of the seed run. Raises Invalid."""
        if options["wait"]:
            raise CommandError("--seeds cannot be combined with --wait")
        fields = request.model_dump(mode="json", exclude_unset=True)
        body = {"seeds": options["seeds"], "operation": {"operation_type": kind.operation_type, **fields}}
        seed_run = seed_runs.create(validate(seed_runs.SeedRunRequest, body), Submitter())
        summary = json.dumps({"seed_run_id": seed_run.seed_run_id})
        self.stdout.write(summary if options["json"] else seed_run.seed_run_id)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_file(path))
    except ValueError as error:
        raise CommandError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CommandError(f"{path} must contain a JSON object")
    return content


def _parameters(form: Form, assignments: Sequence[str]) -> dict[str, Any]:
    """Convert NAME=VALUE as the form does; several values of a list are joined. A name without a field is a text."""
    fields = {field.name.removeprefix(PARAMETERS): field for field in form.fields}
    texts: dict[str, str] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise CommandError(f"-p {assignment}: must be NAME=VALUE")
        is_list = name in fields and fields[name].kind == "lines" and name in texts
        texts[name] = f"{texts[name]}\n{text}" if is_list else text
    return {name: _value(fields[name], text) if name in fields else text for name, text in texts.items()}


def _value(field: Field, text: str) -> Any:
    return text == "true" if field.kind == "check" and text in ("true", "false") else value_of(field, text)
