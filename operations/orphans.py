"""Removes what a crash left in the store of files: partial uploads, and files without a row."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import transaction

from access.isolation import isolated
from operations.artifacts import DRAFT
from operations.models import StoredFile
from operations.stores.local_disk import old_files
from operations.stores.selected import selected_store
from operations.stores.store import Store

DAY_S = 86_400.0
PREFIXES = 256
T = TypeVar("T")


def remove_orphans() -> int:
    """Remove old partial uploads, and the files without a row of one of the 256 prefixes; return how many.

    A cleanup every five minutes comes to every prefix once a day.
    """
    store = selected_store()
    turn = int(time.time() // settings.CLEANUP_INTERVAL_S) % PREFIXES
    return remove_partial_uploads(store.drafts) + remove_without_row(store, f"{turn:02x}")


def count_orphans() -> int:
    """Return how many files the rounds of a day would remove."""
    store = selected_store()
    return len(_partial_uploads(store.drafts)) + sum(
        len(_without_row(store, f"{turn:02x}")) for turn in range(PREFIXES)
    )


def remove_partial_uploads(directory: Path) -> int:
    return _remove(_partial_uploads(directory), _unlink)


def _partial_uploads(directory: Path) -> list[Path]:
    return old_files(directory, f"{DRAFT}*", DAY_S)


def remove_without_row(store: Store, prefix: str) -> int:
    """Remove the files with this prefix that have no row, and had none for the retention time."""
    return _remove(_without_row(store, prefix), partial(_delete_unless_put, store))


def _without_row(store: Store, prefix: str) -> list[str]:
    """An upload is put into the store before its row is written, so young files are left alone."""
    names = store.old_names(prefix, max(DAY_S, settings.ARTIFACT_RETENTION_DAYS * DAY_S))
    known = set(StoredFile.objects.filter(pk__in=names).values_list("pk", flat=True))
    return [name for name in names if name not in known]


def _unlink(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


@transaction.atomic
def _delete_unless_put(store: Store, name: str) -> bool:
    """Delete the file unless it was put again since it was listed; return whether it was deleted.

    Whoever puts it now waits for a row that nobody sees, and then finds out that the file is missing.
    """
    _, is_unknown = StoredFile.objects.get_or_create(pk=name, defaults={"size": 0})
    if is_unknown:
        store.delete(name)
        StoredFile.objects.filter(pk=name).delete()
    return is_unknown


def _remove(files: Iterable[T], remove: Callable[[T], bool]) -> int:
    removed = 0
    for file in files:
        with isolated("removing an orphan", atomic=False, file=str(file)):
            removed += remove(file)
    return removed
