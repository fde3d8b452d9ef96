"""Delete the operations that match filters, with undo."""

from collections.abc import Mapping
from typing import Any

from operations.bulk import DELETE, BulkAction
from operations.management.acting import ActingCommand


class Command(ActingCommand):
    help = (
        "Delete the ended operations that match all filters. They are hidden now and removed after some days."
    )

    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        return DELETE
