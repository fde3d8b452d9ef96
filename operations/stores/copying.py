"""Copies stored files from one store to another, while the site runs."""

from dataclasses import dataclass, field
from functools import partial

from operations.artifacts import Corrupt, TooLarge, write
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
            result.size += _copy(source, target, sha256)
            result.copied += 1
        except FileNotFoundError:
            result.missing.append(sha256)
        except (Corrupt, TooLarge):
            result.damaged.append(sha256)
    # The cleanup may have removed some since the list was read.
    result.missing = sorted(StoredFile.objects.filter(pk__in=result.missing).values_list("pk", flat=True))
    return result


def _copy(source: Store, target: Store, sha256: str) -> int:
    """Return the size in bytes. Raises FileNotFoundError, and Corrupt or TooLarge for damaged content."""
    with source.open(sha256) as file:
        _, size = write(target, iter(partial(file.read, CHUNK), b""), sha256)
    return size
