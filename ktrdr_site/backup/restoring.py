"""Restores an archive into an empty installation. Nothing changes before the whole archive has been verified."""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, transaction
from pydantic import ValidationError

from ktrdr_site.backup import tables
from ktrdr_site.backup.folder import BackupFolder
from ktrdr_site.backup.manifest import (
    ARTIFACTS,
    CHUNK,
    MANIFEST,
    SECRET_FILES,
    SECRETS,
    TABLES,
    BackupError,
    Manifest,
)
from operations.stores.local_disk import LocalDisk, local_disk, path_of
from operations.stores.selected import selected_store
from worker_agent.validation_messages import first_problem

MAX_MANIFEST = 512 * 1024**2
MEMBER_NAME = re.compile(
    rf"{TABLES}[a-z0-9_]+\.copy\.gz|{ARTIFACTS}[0-9a-f]{{64}}|{SECRETS}({'|'.join(SECRET_FILES)})"
)
FILES_OF_FIRST_START = ("admin-password", "api-token", "worker-token")


def read_manifest(source: Path) -> Manifest:
    """Return the manifest of an archive without verifying the rest. Raises BackupError, OSError."""
    with _open(source) as tar:
        return _manifest(tar, source)


def check(source: Path) -> Manifest:
    """Verify every byte of the archive, and of the artifacts beside it, against its manifest. Raises BackupError, OSError."""
    with _open(source) as tar:
        manifest = _manifest(tar, source)
        seen = set()
        for info in tar:
            if info.name == MANIFEST:
                continue
            member = manifest.members.get(info.name)
            if member is None or info.name in seen or not MEMBER_NAME.fullmatch(info.name):
                raise BackupError(f"{source} contains {info.name!r}, which is not in its manifest")
            seen.add(info.name)
            sha256 = info.name.removeprefix(ARTIFACTS) if info.name.startswith(ARTIFACTS) else member.sha256
            if info.size != member.size or _digest(_content(tar, info)) != sha256:
                raise BackupError(f"{source} is damaged: {info.name} differs from its checksum")
    absent = sorted(manifest.members.keys() - seen)
    if absent:
        raise BackupError(f"{source} is incomplete: {absent[0]} is missing")
    for sha256, size in manifest.apart.items():
        _check_copy(BackupFolder(source.parent).path_of(sha256), sha256, size)
    return manifest


def _check_copy(path: Path, sha256: str, size: int) -> None:
    try:
        with _open_copy(path) as file:
            if os.fstat(file.fileno()).st_size != size or _digest(file) != sha256:
                raise BackupError(f"{path} is damaged: it differs from its checksum")
    except FileNotFoundError as error:
        raise BackupError(f"the backup is incomplete: {path} is missing") from error


@contextmanager
def _open_copy(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file. Raises BackupError for a link, a pipe or a device: reading one might never end."""
    if path.exists() and (path.is_symlink() or not path.is_file()):
        raise BackupError(f"{path} is damaged: it is not a regular file")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        yield file


def restore(source: Path) -> Manifest:
    """Fill the empty database and data directory of this installation. Raises BackupError, OSError."""
    manifest = check(source)
    require_empty_directory()
    tables.require_empty_database()
    with _open(source) as tar:
        try:
            tables.migrate_to(manifest.migrations)
            with _staged_artifacts(tar, manifest, source) as artifacts, transaction.atomic():
                _fill(tar, manifest)
                artifacts.install()
        except DatabaseError as error:
            raise BackupError(f"the database rejects the archive: {' '.join(str(error).split())}") from error
        _restore_secrets(tar, manifest)
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    return manifest


def require_empty_directory() -> None:
    """Raise BackupError if the data directory belongs to an installation."""
    directory = Path(settings.DATA_DIR)
    used = [name for name in FILES_OF_FIRST_START if (directory / name).exists()]
    artifacts = local_disk().root
    if artifacts.exists() and any(artifacts.iterdir()):
        used.append("artifacts")
    if used:
        raise BackupError(
            f"{directory} is in use (it contains {used[0]}); restore into an empty data directory"
        )


@contextmanager
def _open(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:") as tar:
            _read_headers(tar, source)
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{source} is not a complete archive: {error}") from error


def _read_headers(tar: tarfile.TarFile, source: Path) -> None:
    """Find all members, of which each must be a file with all its bytes in the archive. Raises BackupError.

    A sparse member of a few bytes may unpack to a terabyte, and one of negative size leads back to itself.
    """
    end = -1
    while (info := tar.next()) is not None:
        if not info.isreg() or info.issparse() or info.size < 0 or info.offset <= end:
            raise BackupError(f"{source} contains {info.name!r}, which is not a plain file")
        end = info.offset


def _manifest(tar: tarfile.TarFile, source: Path) -> Manifest:
    try:
        info = tar.getmember(MANIFEST)
        if info.size > MAX_MANIFEST:
            raise BackupError(f"{source} has no readable manifest")
        return Manifest.model_validate_json(_content(tar, MANIFEST).read())
    except KeyError as error:
        raise BackupError(f"{source} has no manifest: it is not a backup, or it is truncated") from error
    except ValidationError as error:
        raise BackupError(f"{source} has an invalid manifest: {first_problem(error)}") from error


def _content(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise BackupError(f"{member} is not a regular file")
    return content


def _digest(source: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(CHUNK):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _staged_artifacts(tar: tarfile.TarFile, manifest: Manifest, source: Path) -> Iterator["_Staging"]:
    """Unpack the artifacts beside their place, to be installed with the rows."""
    staging = _Staging(local_disk().root)
    staging.fill(tar, manifest, BackupFolder(source.parent))
    try:
        yield staging
    except BaseException:
        staging.remove()
        raise


class _Staging:
    def __init__(self, place: Path) -> None:
        self._place = place
        self._draft = place.with_name(f"{place.name}.restoring")

    def fill(self, tar: tarfile.TarFile, manifest: Manifest, folder: BackupFolder) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)  # left by a restore that was killed
        self._draft.mkdir(mode=0o700)
        for sha256 in manifest.artifacts_inside:
            self._write(sha256, _content(tar, f"{ARTIFACTS}{sha256}"))
        for sha256 in manifest.apart:
            with _open_copy(folder.path_of(sha256)) as file:
                self._write(sha256, file)
        os.sync()

    def _write(self, sha256: str, source: IO[bytes]) -> None:
        directory = self._draft / path_of(sha256).parent.name
        directory.mkdir(mode=0o700, exist_ok=True)
        with (directory / sha256).open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)

    def install(self) -> None:
        store = selected_store()
        if not isinstance(store, LocalDisk):  # a file of this name has this content, whoever put it there
            for draft in sorted(self._draft.glob("??/*")):
                store.put(draft, draft.name)
            shutil.rmtree(self._draft)
            return
        if self._place.exists():
            self._place.rmdir()
        self._draft.rename(self._place)

    def remove(self) -> None:
        for path in (self._draft, self._place):
            shutil.rmtree(path, ignore_errors=True)


def _fill(tar: tarfile.TarFile, manifest: Manifest) -> None:
    existing = tables.saved_tables()
    restored = {name: table for name, table in manifest.tables.items() if name not in tables.NOT_RESTORED}
    unknown = sorted(restored.keys() - set(existing))
    if unknown:
        raise BackupError(f"the archive has the table {unknown[0]}, which its own migrations do not create")
    tables.clear(existing)
    for name, table in restored.items():
        tables.load(name, table, _content(tar, f"{TABLES}{name}.copy.gz"))
        tables.continue_numbering(name, table.columns)


def _restore_secrets(tar: tarfile.TarFile, manifest: Manifest) -> None:
    for name in manifest.secrets:
        target = Path(settings.DATA_DIR) / name
        draft = target.with_name(f".{name}.restoring")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_content(tar, f"{SECRETS}{name}").read())
        draft.replace(target)
