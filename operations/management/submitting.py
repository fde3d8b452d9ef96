"""Shared by the commands that submit operations. They use the same services as the API, on behalf of the system."""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from access.problems import Problem
from operations.insertion import Submitter
from operations.requests import Submission
from operations.submission import submit


class Submittable(Protocol):
    """Something other than an operation that `manage.py submit` submits; its room registers it when it starts."""

    name: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that only this one has."""

    def submit(self, path: Path, options: Mapping[str, Any], stdout: OutputWrapper) -> int:
        """Submit the file, print its id, and return the exit status. Raises CommandError and Problem."""


submittables: dict[str, Submittable] = {}


class SubmittingCommand(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait",
            action="store_true",
            help="follow the operation and print its result; exit 0 completed, 1 failed, 3 cancelled",
        )
        parser.add_argument(
            "--json", action="store_true", help="print the operation id as JSON, and no result"
        )

    def submit(self, submission: Submission, *, wait: bool, json: bool) -> None:
        operation = submit(submission, Submitter())
        self.stdout.write(f'{{"operation_id": "{operation.pk}"}}' if json else operation.pk)
        if wait:
            # Loads the library of progress bars, which no server needs.
            from operations.following import follow_until_detached

            sys.exit(follow_until_detached(operation.pk, sys.stderr, None if json else self.stdout))


def read_file(path: Path) -> str:
    """Return the text of a file. Raises CommandError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"Could not read {path}: {error}") from error


def command_error(problem: Problem) -> CommandError:
    """Format a problem for the terminal, with one line per error."""
    lines = [str(problem.detail)]
    for error in problem.errors:
        place = f"line {error['line']}: " if error.get("line") else ""
        lines.append(f"  {error['pointer']}: {place}{error['detail']}")
    return CommandError("\n".join(lines))
