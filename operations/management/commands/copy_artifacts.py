from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.stores import copying
from operations.stores.selected import UnknownStore, store_named


class Command(BaseCommand):
    help = (
        "Copy all stored files from one store to another: before KTRDR_ARTIFACT_STORE is changed, and once more after the "
        "restart. A file that the target has is not copied again, and nothing is removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", help="local or s3://BUCKET/PREFIX")
        parser.add_argument("target", help="local or s3://BUCKET/PREFIX")

    def handle(self, *args: Any, source: str, target: str, **options: Any) -> None:
        if source == target:
            raise CommandError("source and target are the same store")
        try:
            result = copying.copy_all(store_named(source), store_named(target))
        except (UnknownStore, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{result.copied:,} files copied ({result.size / 1024**2:,.1f} MiB), {result.present:,} were there"
        )
        lost = [(reason, names) for reason in ("missing", "damaged") if (names := getattr(result, reason))]
        if lost:
            text = "; ".join(
                f"{len(names)} {reason} in {source}, for example {names[0]}" for reason, names in lost
            )
            raise CommandError(f"not copied: {text}")
