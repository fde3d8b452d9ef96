"""Copies stored files from one store to another, while the site runs."""

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from operations.artifacts import DRAFT
from operations.models import StoredFile
from operations.stores.store import Store

CHUNK = 1024 * 1024


@dataclass(slots=True)
class Copied:
    copied: int = 0
    size: int = 0
    """Bytes of the copied files."""
    present: int = 0
    """Files that the target already had."""
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def copy_all(source: Store, target: Store) -> Copied:
    """Copy each file that has a row and that the target lacks, and verify its hash on the way. Raises OSError."""
    result = Copied()
    for sha256 in list(StoredFile.objects.order_by("pk").values_list("pk", flat=True)):
        if target.exists(sha256):
            result.present += 1
            continue
        try:
            size = _copy(source, target, sha256)
        except FileNotFoundError:
            result.missing.append(sha256)
            continue
        if size is None:
            result.damaged.append(sha256)
        else:
            result.copied += 1
            result.size += size
    # The cleanup may have removed some since the list was read.
    result.missing = sorted(StoredFile.objects.filter(pk__in=result.missing).values_list("pk", flat=True))
    return result


def _copy(source: Store, target: Store, sha256: str) -> int | None:
    """Return the size in bytes; None if the content does not have the hash, which is then not copied."""
    digest, size = hashlib.sha256(), 0
    target.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        source.open(sha256) as file,
        tempfile.NamedTemporaryFile(dir=target.drafts, prefix=DRAFT, delete=False) as copy,
    ):
        draft = Path(copy.name)
        try:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            if digest.hexdigest() != sha256:
                return None
            target.put(draft, sha256)
        finally:
            draft.unlink(missing_ok=True)
    return size
