"""Content-addressed files: written once under their SHA-256 and removed when nothing refers to them.

A file is complete or absent: it is written under a temporary name, synced, verified and given to the store. The row is
written after the file, so there is never a row without a file.
"""

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import reduce
from io import BufferedReader
from operator import or_
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, ManyToOneRel, Model, OuterRef, QuerySet, Sum
from django.db.models.functions import Now

from access.isolation import isolated
from operations import attempt_secrets
from operations.models import Artifact, Attempt, StoredFile
from operations.stores.selected import selected_store
from operations.stores.store import Store

MAX_SIZE = 4 * 1024**3
"""Maximum size of a file in bytes."""
DRAFT = ".incoming-"
DOWNLOAD_LASTS = timedelta(minutes=15)
"""In which a download may start; after that it may continue."""
CLEANUP_BATCH, CLEANUP_LASTS_S = 500, 10.0


class Corrupt(Exception):
    """The content does not have the SHA-256 under which it was sent."""


class TooLarge(Exception):
    """The file exceeds the maximum size."""


class NoSpace(Exception):
    """The backend's disk is full."""


def open_file(sha256: str) -> BufferedReader:
    """Open a stored file for reading; it can seek. Raises FileNotFoundError, OSError."""
    return selected_store().open(sha256)


def exists(sha256: str) -> bool:
    """Return whether the store has the file. Raises OSError."""
    return selected_store().exists(sha256)


def download_address(sha256: str) -> str | None:
    """Return a URL by which everybody can download the file for a few minutes; None if the site itself must send it."""
    return selected_store().download_address(sha256, DOWNLOAD_LASTS)


def put(chunks: Iterable[bytes], expected: str | None = None, max_size: int = MAX_SIZE) -> StoredFile:
    """Store a file. Raises Corrupt if its hash is not `expected`, TooLarge, NoSpace, OSError."""
    try:
        sha256, size = write(selected_store(), chunks, expected, max_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("The backend's disk is full; nothing was stored.") from error
        raise
    stored, created = StoredFile.objects.get_or_create(sha256=sha256, defaults={"size": size})
    touched = created or StoredFile.objects.filter(sha256=sha256).update(touched_at=Now(), damaged_at=None)
    if not touched or not exists(sha256):
        # The cleanup removed it between our put and the row. The sender puts it again, which repairs both.
        raise OSError(f"{sha256} was removed by the cleanup while it was being stored again")
    return stored


def write(
    store: Store, chunks: Iterable[bytes], expected: str | None, max_size: int = MAX_SIZE
) -> tuple[str, int]:
    """Write a file into the store, completely or not at all; return (SHA-256, size).

    Raises Corrupt if its hash is not `expected`, TooLarge, OSError.
    """
    store.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=store.drafts, prefix=DRAFT, delete=False) as file:
        incoming = Path(file.name)
        try:
            for chunk in chunks:
                size += len(chunk)
                if size > max_size:
                    raise TooLarge(f"A file may have at most {max_size} bytes.")
                digest.update(chunk)
                file.write(chunk)
            sha256 = digest.hexdigest()
            if expected is not None and sha256 != expected:
                raise Corrupt(f"The content does not match: expected SHA-256 {expected}, received {sha256}.")
            file.flush()
            os.fsync(file.fileno())
            store.put(incoming, sha256)
        finally:
            incoming.unlink(missing_ok=True)
    return sha256, size


def readable_by_worker(worker_id: str, sha256: str, attempt_secret: str) -> bool:
    """Return whether the worker's current operation refers to the file, as an input or in its newest checkpoint."""
    attempt = _proven_attempt(worker_id, attempt_secret)
    if attempt is None:
        return False
    files = Artifact.objects.filter(operation=attempt.operation_id, file=sha256)
    return files.exclude(role=Artifact.Role.OUTPUT).exists()


def writable_by_worker(worker_id: str, attempt_secret: str) -> bool:
    """Return whether the worker has an active attempt. It cannot overwrite files, because they are content-addressed."""
    return _proven_attempt(worker_id, attempt_secret) is not None


def _proven_attempt(worker_id: str, attempt_secret: str) -> Attempt | None:
    """Return the worker's active attempt if the caller knows its secret."""
    attempt = Attempt.objects.filter(worker_id=worker_id, ended_at__isnull=True).first()
    if attempt is None or not attempt_secrets.is_proven(attempt, attempt_secret):
        return None
    return attempt


def remove_unreferenced(batch: int = CLEANUP_BATCH, lasts_s: float = CLEANUP_LASTS_S) -> int:
    """Remove files that nothing has referred to for the retention time; return how many. Stop after `lasts_s`.

    Only files whose last reference went, or that were uploaded, are looked at: a trigger of the database notes the
    moment. So the cost depends on what there is to do and not on the number of files.
    """
    removed = 0
    until = time.monotonic() + lasts_s
    while True:
        examined, gone = _clean_batch(batch)
        removed += gone
        if examined < batch or time.monotonic() > until:
            return removed


def _clean_batch(batch: int) -> tuple[int, int]:
    """Return how many files were examined and how many of them removed.

    The row is deleted first, in a transaction that locks it against new references (PROTECT and the report's own
    lock). A crash before the unlink leaves a file without a row, which the next put of the same content reuses or
    `orphans` removes. The row of a file that cannot be removed stays.
    """
    with transaction.atomic():
        locked = _old_files().select_for_update(of=("self",), skip_locked=True)
        rows = list(locked.order_by("touched_at")[:batch])
        # Whoever removes a reference now waits for the lock, and notes the moment afterwards.
        referred = [row.sha256 for row in rows if row.is_referred]
        StoredFile.objects.filter(sha256__in=referred).update(touched_at=None)
        unreferred = [row for row in rows if not row.is_referred]
        StoredFile.objects.filter(sha256__in=[row.sha256 for row in unreferred]).delete()
        kept = [row for row in unreferred if not _unlink(row.sha256)]
        StoredFile.objects.bulk_create(kept)
    return len(rows), len(unreferred) - len(kept)


def count_unreferenced() -> tuple[int, int]:
    """Return how many files `remove_unreferenced` would remove, and how many bytes they have."""
    total = _old_files().filter(is_referred=False).aggregate(files=Count("pk"), size=Sum("size"))
    return total["files"], total["size"] or 0


def _old_files() -> Any:
    """Return the files whose last reference went, or that were uploaded, before the retention time; with `is_referred`."""
    old = Now() - timedelta(days=settings.ARTIFACT_RETENTION_DAYS)
    is_referred = reduce(or_, (Exists(rows.filter(**{name: OuterRef("pk")})) for rows, name in _references()))
    return StoredFile.objects.filter(touched_at__lt=old).annotate(is_referred=is_referred)


def _references() -> Iterator[tuple[QuerySet[Model], str]]:
    """Return the rows of each model, of any room, that refers to files, and the name of its field."""
    for relation in StoredFile._meta.get_fields(include_hidden=True):
        if isinstance(relation, ManyToOneRel):
            yield relation.related_model._default_manager.all(), relation.field.name


def _unlink(sha256: str) -> bool:
    """Return whether the file is gone. A disk error must not keep the other files."""
    with isolated("removing a file", atomic=False, sha256=sha256) as unit:
        selected_store().delete(sha256)
    return unit.error is None
