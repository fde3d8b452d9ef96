"""Cancel the operations that match filters."""

from collections.abc import Mapping
from typing import Any

from operations.bulk import CANCEL, BulkAction
from operations.management.acting import ActingCommand


class Command(ActingCommand):
    help = "Cancel the waiting and running operations that match all filters, the oldest first."

    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        return CANCEL
