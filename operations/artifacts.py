"""Files by content: written once under their SHA-256, read by who may, removed when nothing refers to them.

On disk: DATA_DIR/artifacts/ab/abcdef... A file is complete or absent: it is written beside its place, synced,
checked and renamed. The row follows the file, so a row without a file cannot be.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from operations.models import Artifact, Attempt, MarketData, StoredFile

MAX_SIZE = 4 * 1024**3
"""Bytes of one file."""
CLEANUP_BATCH = 500


class Corrupt(Exception):
    """The bytes do not have the SHA-256 under which they were sent."""


class TooLarge(Exception):
    """A file may have at most 4 GiB."""


class NoSpace(Exception):
    """There is no room for the file on the backend's disk."""


def path_of(sha256: str) -> Path:
    return Path(settings.DATA_DIR) / "artifacts" / sha256[:2] / sha256


def put(chunks: Iterable[bytes], expected: str | None = None, max_size: int = MAX_SIZE) -> StoredFile:
    """Stores the file that `chunks` make. Raises Corrupt where its hash is not `expected`, TooLarge, NoSpace, OSError."""
    try:
        sha256, size = _write(chunks, expected, max_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("The backend's disk is full; nothing was stored.") from error
        raise
    stored, created = StoredFile.objects.get_or_create(sha256=sha256, defaults={"size": size})
    if not created:
        touched = StoredFile.objects.filter(sha256=sha256).update(touched_at=Now())
        if not touched or not path_of(sha256).exists():
            # The cleanup removed it between our rename and the row's touch: the row is gone too, or soon.
            raise OSError(f"{sha256} was removed while it was written again")
    return stored


def _write(chunks: Iterable[bytes], expected: str | None, max_size: int) -> tuple[str, int]:
    """(SHA-256, size) of the file, which is in its place, or there is none."""
    root = Path(settings.DATA_DIR) / "artifacts"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=root, prefix=".incoming-", delete=False) as file:
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
                raise Corrupt(f"The file sent as {expected} has the SHA-256 {sha256}.")
            file.flush()
            os.fsync(file.fileno())
            target = path_of(sha256)
            target.parent.mkdir(exist_ok=True, mode=0o700)
            incoming.replace(target)
        finally:
            incoming.unlink(missing_ok=True)
    return sha256, size


def readable_by_worker(worker_id: str, sha256: str) -> bool:
    """What the worker's current operation names: its inputs, and the files of its newest checkpoint."""
    current = Attempt.objects.filter(worker_id=worker_id, ended_at__isnull=True)
    return (
        Artifact.objects.filter(operation__attempts__in=current, file=sha256).exclude(role="output").exists()
    )


def writable_by_worker(worker_id: str) -> bool:
    """A worker writes while it has an attempt; content addressing makes overwriting impossible."""
    return Attempt.objects.filter(worker_id=worker_id, ended_at__isnull=True).exists()


def remove_unreferenced(batch: int = CLEANUP_BATCH) -> int:
    """Removes one batch of files that nothing has referred to since the retention; returns how many.

    The row goes first, in a transaction that locks it against a new reference (PROTECT and the report's own
    lock); a crash before the unlink leaves an unlisted file, which the next put of the same content reuses.
    """
    old = Now() - timedelta(days=settings.ARTIFACT_RETENTION_DAYS)
    referred = Exists(Artifact.objects.filter(file=OuterRef("pk"))) | Exists(
        MarketData.objects.filter(file=OuterRef("pk"))
    )
    with transaction.atomic():
        rows = (
            StoredFile.objects.select_for_update(skip_locked=True)
            .filter(~referred, touched_at__lt=old)
            .order_by("touched_at")[:batch]
        )
        hashes = [row.sha256 for row in rows]
        StoredFile.objects.filter(sha256__in=hashes).delete()
        for sha256 in hashes:
            path_of(sha256).unlink(missing_ok=True)
    return len(hashes)
