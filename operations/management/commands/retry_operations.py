"""Retry the operations that match filters."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from operations.bulk import RESUME, RETRY, BulkAction
from operations.management.acting import ActingCommand


class Command(ActingCommand):
    help = "Queue the FAILED and CANCELLED operations that match all filters again, the oldest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--resume", action="store_true", help="resume from the newest checkpoint")

    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        return RESUME if options["resume"] else RETRY
