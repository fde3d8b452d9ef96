"""Creates an archive. It is complete or absent: it is written beside its place, synced and linked.

The cleanup goes on meanwhile: a file that the saved rows refer to stays for ARTIFACT_RETENTION_DAYS after its last
reference went.
"""

import hashlib
import io
import os
import platform
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import django
from django.conf import settings
from django.db import connection, transaction

from ktrdr_site.backup import tables
from ktrdr_site.backup.folder import BackupFolder
from ktrdr_site.backup.manifest import (
    ARTIFACTS,
    MANIFEST,
    SECRET_FILES,
    SECRETS,
    TABLES,
    BackupError,
    Manifest,
    Member,
    Table,
)
from operations.artifacts import open_file
from operations.models import StoredFile
from worker_agent.protocol import PROTOCOL_VERSION


class Writer:
    """Adds members to one archive and collects their sizes and hashes."""

    def __init__(self, tar: tarfile.TarFile, created_at: datetime) -> None:
        self._tar = tar
        self._time = int(created_at.timestamp())
        self.members: dict[str, Member] = {}

    def add(self, name: str, source: IO[bytes], size: int, sha256: str) -> None:
        self._write(name, source, size)
        self.members[name] = Member(size=size, sha256=sha256)

    def add_text(self, name: str, content: bytes) -> None:
        self.add(name, io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())

    def close(self, manifest: Manifest) -> None:
        content = manifest.model_dump_json(indent=1).encode()
        self._write(MANIFEST, io.BytesIO(content), len(content))

    def _write(self, name: str, source: IO[bytes], size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._time, 0o600
        self._tar.addfile(info, source)


def backup(target: Path, *, with_secrets: bool = True, folder: BackupFolder | None = None) -> Manifest:
    """Write `target`, mode 0600, while the system may be running. Raises BackupError, OSError.

    With a folder, artifacts go there, once each, and not into the archive.
    """
    if target.exists():
        raise BackupError(f"{target} already exists; choose another name")
    with _atomic_file(target) as file:
        created_at = datetime.now(UTC)
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            writer = Writer(tar, created_at)
            with transaction.atomic():
                tables.begin_snapshot()
                saved, hashes = _save_rows(writer, target.parent)
                migrations = tables.newest_migrations()
            missing, apart = _save_artifacts(writer, hashes, folder)
            if with_secrets:
                _save_secrets(writer)
            manifest = Manifest(
                format=1 if folder is None else 2,
                created_at=created_at,
                versions=_versions(),
                migrations=migrations,
                tables=saved,
                members=writer.members,
                missing_artifacts=tuple(missing),
                apart=apart,
            )
            writer.close(manifest)
    return manifest


@contextmanager
def _atomic_file(target: Path) -> Iterator[IO[bytes]]:
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, target)  # fails if another process has created it meanwhile
    except FileExistsError as error:
        raise BackupError(f"{target} already exists; choose another name") from error
    finally:
        draft.unlink()


def _save_rows(writer: Writer, beside: Path) -> tuple[dict[str, Table], list[str]]:
    """Save all rows; return the tables and the hashes of the files that they refer to."""
    saved = {}
    for table in tables.saved_tables():
        with tempfile.TemporaryFile(dir=beside) as packed:
            saved[table] = tables.save(table, packed)
            size = packed.tell()
            packed.seek(0)
            sha256 = hashlib.file_digest(packed, "sha256").hexdigest()
            packed.seek(0)
            writer.add(f"{TABLES}{table}.copy.gz", packed, size, sha256)
    return saved, list(StoredFile.objects.order_by("pk").values_list("pk", flat=True))


def _save_artifacts(
    writer: Writer, hashes: list[str], folder: BackupFolder | None
) -> tuple[list[str], dict[str, int]]:
    """Save the files; return which are missing or damaged, and the sizes of those that are in the folder."""
    missing, apart = [], {}
    for sha256 in hashes:
        if folder is not None and (stored := folder.size_of(sha256)) is not None:
            apart[sha256] = stored
            continue
        with _open_artifact(sha256) as (file, size):
            if file is None:
                missing.append(sha256)
            elif folder is None:
                writer.add(f"{ARTIFACTS}{sha256}", file, size, sha256)
            else:
                apart[sha256] = folder.add(sha256, file)
    # A file that nothing refers to may be removed with its row since the snapshot.
    return sorted(StoredFile.objects.filter(pk__in=missing).values_list("pk", flat=True)), apart


@contextmanager
def _open_artifact(sha256: str) -> Iterator[tuple[IO[bytes] | None, int]]:
    """Yield the file and its size, or None if it is missing or damaged, which must not prevent saving the others."""
    try:
        file = open_file(sha256)
    except FileNotFoundError:
        yield None, 0
        return
    with file:
        is_whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield (file if is_whole else None), size


def _save_secrets(writer: Writer) -> None:
    """Save the secrets that the next start would otherwise create again, except those set in the environment."""
    for name, variable in SECRET_FILES.items():
        path = Path(settings.DATA_DIR) / name
        if path.exists() and not os.environ.get(variable):
            writer.add_text(f"{SECRETS}{name}", path.read_bytes())


def _versions() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone() or ("",)
    return {
        "python": platform.python_version(),
        "django": django.get_version(),
        "postgresql": server,
        "protocol": str(PROTOCOL_VERSION),
    }
