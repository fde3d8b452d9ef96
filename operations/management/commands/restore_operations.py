"""Restore the deleted operations that match filters."""

from collections.abc import Mapping
from typing import Any

from operations.bulk import RESTORE, BulkAction
from operations.management.acting import ActingCommand


class Command(ActingCommand):
    help = "Restore the deleted operations that match all filters."

    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        return RESTORE
