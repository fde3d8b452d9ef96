"""Shared by the commands that act on many operations."""

import json as encoding
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from access.problems import Problem
from operations.actors import Actor
from operations.api.bulk import filter_operations
from operations.bulk import BulkAction, act_on_matching, act_on_selected
from operations.management.submitting import command_error
from operations.models import Operation

FILTERS = ("status", "operation_type", "worker_id", "created_by", "search", "tag", "archived")


class ActingCommand(BaseCommand):
    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--status", help="one or more statuses, separated by commas")
        parser.add_argument("--type", dest="operation_type", metavar="TYPE")
        parser.add_argument("--worker", dest="worker_id", metavar="ID", help="worker of the newest attempt")
        parser.add_argument("--user", dest="created_by", metavar="NAME", help="who submitted them")
        parser.add_argument("--search", metavar="TEXT")
        parser.add_argument("--tag", metavar="TAG[,TAG]", help="operations that have all these tags")
        parser.add_argument("--archived", choices=["false", "true", "any"], help="default: false")
        parser.add_argument(
            "--id", dest="ids", nargs="+", metavar="ID", help="these operations, without filters"
        )
        parser.add_argument("--reason", default="")
        parser.add_argument("--dry-run", action="store_true", help="only count them")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, reason: str, dry_run: bool, json: bool, **options: Any) -> None:
        try:
            action = self.choose_action(options)
            matching, description = _select(action, options)
            if dry_run:
                number = action.candidates(matching).count()
                self.stdout.write(
                    encoding.dumps({"matched": number}) if json else f"{number} operations match"
                )
                return
            by = Actor(f"command:{action.name}_operations")
            if options["ids"]:
                result = act_on_selected(action, options["ids"], by, reason=reason)
            else:
                result = act_on_matching(action, matching, by, reason=reason, description=description)
        except Problem as problem:
            raise command_error(problem) from problem
        if json:
            self.stdout.write(encoding.dumps(asdict(result)))
            return
        self.stdout.write(f"{action.name}: {result.changed} of {result.matched} operations")
        for skipped in result.skipped_operations:
            self.stdout.write(f"  {skipped.operation_id} skipped: {skipped.reason}")


def _select(action: BulkAction, options: Mapping[str, Any]) -> tuple[QuerySet[Operation], str]:
    """Return the selected operations and their description. Raises Invalid, CommandError."""
    filters = {name: options[name] for name in FILTERS if options[name]}
    if bool(filters) == bool(options["ids"]):
        raise CommandError("Choose at least one filter, such as --status PENDING, or operations with --id.")
    if options["ids"]:
        return action.all_rows().filter(pk__in=options["ids"]), ""
    description = ", ".join(f"{name}={value}" for name, value in filters.items())
    return filter_operations(filters, action.all_rows()), description
