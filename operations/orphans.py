"""Removes what a crash left in the artifact directory: partial uploads, and files without a row."""

import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from access.isolation import isolated
from operations.models import StoredFile

DAY_S = 86_400.0
DIRECTORIES = 256


def remove_orphans() -> int:
    """Remove old partial uploads, and the files without a row of one of the 256 directories; return how many.

    A cleanup every five minutes comes to every directory once a day.
    """
    root = Path(settings.DATA_DIR) / "artifacts"
    turn = int(time.time() // settings.CLEANUP_INTERVAL_S) % DIRECTORIES
    return remove_partial_uploads(root) + remove_without_row(root / f"{turn:02x}")


def count_orphans() -> int:
    """Return how many files the rounds of a day would remove."""
    root = Path(settings.DATA_DIR) / "artifacts"
    directories = (root / f"{turn:02x}" for turn in range(DIRECTORIES))
    return len(_partial_uploads(root)) + sum(len(_without_row(directory)) for directory in directories)


def remove_partial_uploads(root: Path) -> int:
    return _remove(_partial_uploads(root))


def _partial_uploads(root: Path) -> list[Path]:
    return _old_files(root, ".incoming-*", DAY_S)


def remove_without_row(directory: Path) -> int:
    """Remove the files of a directory that have no row, and had none for the retention time."""
    return _remove(_without_row(directory))


def _without_row(directory: Path) -> list[Path]:
    files = _old_files(directory, "*", max(DAY_S, settings.ARTIFACT_RETENTION_DAYS * DAY_S))
    known = set(StoredFile.objects.filter(pk__in=[path.name for path in files]).values_list("pk", flat=True))
    return [path for path in files if path.name not in known]


def _old_files(directory: Path, pattern: str, age_s: float) -> list[Path]:
    """Return the files that have not changed for `age_s`: an upload renames its file before it stores the row."""
    oldest = time.time() - age_s
    if not directory.is_dir():
        return []
    return [path for path in directory.glob(pattern) if path.is_file() and path.stat().st_mtime < oldest]


def _remove(paths: Iterable[Path]) -> int:
    removed = 0
    for path in paths:
        with isolated("removing an orphan", atomic=False, path=str(path)) as unit:
            path.unlink(missing_ok=True)
        removed += unit.error is None
    return removed
