"""Tag, archive or dismiss the operations that match filters."""

from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from access.problems import validate
from operations.bulk import BulkAction, label_action
from operations.labels import SharedLabels
from operations.management.acting import ActingCommand

LABELS = ("add_tags", "remove_tags", "archived", "dismissed")


class Command(ActingCommand):
    help = "Add or remove tags, archive or dismiss the operations that match all filters."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--add", dest="add_tags", nargs="+", metavar="TAG")
        parser.add_argument("--remove", dest="remove_tags", nargs="+", metavar="TAG")
        parser.add_argument("--archive", dest="archive", action=BooleanOptionalAction)
        parser.add_argument("--dismiss", dest="dismissed", action=BooleanOptionalAction)

    def choose_action(self, options: Mapping[str, Any]) -> BulkAction:
        given = {**options, "archived": options["archive"]}
        labels = validate(SharedLabels, {name: given[name] for name in LABELS if given[name] is not None})
        if labels.is_empty:
            raise CommandError("Choose a change: --add, --remove, --archive or --dismiss.")
        return label_action(labels)
