"""Shared by the commands that submit operations. They use the same services as the API, on behalf of the system."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from access.problems import Problem
from operations.following import follow_until_detached
from operations.insertion import Submitter
from operations.requests import Submission
from operations.submission import submit


class SubmittingCommand(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait",
            action="store_true",
            help="follow the operation; exit 0 completed, 1 failed, 3 cancelled",
        )
        parser.add_argument("--json", action="store_true", help="print the operation id as JSON")

    def submit(self, submission: Submission, *, wait: bool, json: bool) -> None:
        operation = submit(submission, Submitter())
        self.stdout.write(f'{{"operation_id": "{operation.pk}"}}' if json else operation.pk)
        if wait:
            sys.exit(follow_until_detached(operation.pk, sys.stderr))


def command_error(problem: Problem) -> CommandError:
    """Format a problem for the terminal, with one line per error."""
    lines = [str(problem.detail)]
    for error in problem.errors:
        place = f"line {error['line']}: " if error.get("line") else ""
        lines.append(f"  {error['pointer']}: {place}{error['detail']}")
    return CommandError("\n".join(lines))
