"""A folder with many archives and one copy of each artifact: DIRECTORY/ktrdr-TIME.tar, DIRECTORY/artifacts/ab/abcdef...

A backup copies only artifacts that the folder does not have. One process at a time writes into it.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from ktrdr_site.backup.manifest import CHUNK, BackupError, Manifest

ARTIFACTS = "artifacts"
LOCK = ".lock"
ARCHIVES = "ktrdr-*.tar"
DRAFT = ".incoming-"


class BackupFolder:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Create the folder, mode 0700, and keep other backups out of it. Raises BackupError, OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.directory / ARTIFACTS).mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup is being written into {self.directory}") from error
        else:
            yield
        finally:
            os.close(descriptor)

    def new_archive(self) -> Path:
        return self.directory / f"ktrdr-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"

    def archives(self) -> list[Path]:
        """Return the archives, oldest first."""
        return sorted(self.directory.glob(ARCHIVES))

    def newest_archive(self) -> Path:
        """Return the newest archive. Raises BackupError if there is none."""
        archives = self.archives()
        if not archives:
            raise BackupError(f"{self.directory} contains no archive {ARCHIVES}")
        return archives[-1]

    def path_of(self, sha256: str) -> Path:
        return self.directory / ARTIFACTS / sha256[:2] / sha256

    def size_of(self, sha256: str) -> int | None:
        """Return the size of the copy in bytes, or None if there is none. `restore --check` compares the content."""
        try:
            return self.path_of(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def add(self, sha256: str, source: IO[bytes]) -> int:
        """Copy one file completely or not at all; return its size. Raises BackupError, OSError."""
        target = self.path_of(sha256)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        draft = target.with_name(f"{DRAFT}{secrets.token_hex(4)}")
        digest = hashlib.sha256()
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                while block := source.read(CHUNK):
                    digest.update(block)
                    file.write(block)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != sha256:
                raise BackupError(f"artifact {sha256} changed while it was copied")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        return size

    def remove_older(self, keep: timedelta, read_manifest: Callable[[Path], Manifest]) -> tuple[int, int]:
        """Remove archives older than `keep`, then copies that no archive needs; return how many of both.

        The newest archive stays. If an archive cannot be read, no copy is removed. Raises BackupError, OSError.
        """
        archives = self.archives()
        oldest = datetime.now(UTC) - keep
        read = {archive: read_manifest(archive) for archive in archives}
        expired = [archive for archive in archives[:-1] if read[archive].created_at < oldest]
        needed: set[str] = set()
        for archive in archives:
            if archive not in expired:
                needed.update(read[archive].apart)
        for archive in expired:
            archive.unlink()
        copies = [path for path in self.directory.glob(f"{ARTIFACTS}/??/*") if path.name not in needed]
        for path in copies:
            path.unlink()
        return len(expired), len(copies)
