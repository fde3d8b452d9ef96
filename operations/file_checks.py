"""Reads stored files again in the background, and marks those that are missing or do not have their SHA-256 any more."""

import hashlib
import time
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models.functions import Now

from access.isolation import isolated
from operations import artifacts
from operations.models import StoredFile

ROUNDS = 4096
"""One for each of the first three digits of a SHA-256: with a cleanup every five minutes two weeks."""
LASTS_S = 20.0

log = structlog.get_logger(__name__)


def check_some() -> int:
    """Check the files of one round; return how many were found damaged that were not before."""
    turn = int(time.time() // settings.CLEANUP_INTERVAL_S) % ROUNDS
    return check_prefix(f"{turn:03x}")


def check_prefix(prefix: str, lasts_s: float = LASTS_S) -> int:
    """Check the files whose SHA-256 starts with `prefix`, in any order, until `lasts_s` have passed."""
    until = time.monotonic() + lasts_s
    damaged = 0
    files = StoredFile.objects.filter(pk__startswith=prefix).order_by("?")
    for sha256, touched_at in list(files.values_list("pk", "touched_at")):
        with isolated("checking a stored file", atomic=False, sha256=sha256):
            damaged += _check(sha256, touched_at)
        if time.monotonic() > until:
            break
    return damaged


def _check(sha256: str, touched_at: datetime | None) -> bool:
    """Return whether the file is damaged and was not before. Raises OSError if the store cannot tell."""
    unchanged = StoredFile.objects.filter(pk=sha256, touched_at=touched_at)  # neither put again nor removed
    if _is_whole(sha256):
        unchanged.filter(damaged_at__isnull=False).update(damaged_at=None)
        return False
    marked = unchanged.filter(damaged_at__isnull=True).update(damaged_at=Now())
    if marked:
        log.error("stored file is missing or damaged", sha256=sha256)
    return bool(marked)


def _is_whole(sha256: str) -> bool:
    try:
        with artifacts.open_file(sha256) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
