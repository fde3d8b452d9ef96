"""Puts an archive into an empty installation. Nothing is changed before all of the archive was read and found whole."""

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
from operations.artifacts import path_of

MAX_MANIFEST = 512 * 1024**2
MEMBER_NAME = re.compile(
    rf"{TABLES}[a-z0-9_]+\.copy\.gz|{ARTIFACTS}[0-9a-f]{{64}}|{SECRETS}({'|'.join(SECRET_FILES)})"
)
MADE_BY_A_START = ("admin-password", "api-token", "worker-token")


def check(source: Path) -> Manifest:
    """Reads every byte of the archive against its manifest. Raises BackupError, OSError."""
    with _opened(source) as tar:
        manifest = _manifest(tar, source)
        seen = set()
        for info in tar:
            if info.name == MANIFEST:
                continue
            known = manifest.members.get(info.name)
            if known is None or not info.isreg() or info.name in seen or not MEMBER_NAME.fullmatch(info.name):
                raise BackupError(f"{source} holds {info.name!r}, which its manifest does not know")
            seen.add(info.name)
            sha256 = info.name.removeprefix(ARTIFACTS) if info.name.startswith(ARTIFACTS) else known.sha256
            if info.size != known.size or _digest(_content(tar, info)) != sha256:
                raise BackupError(f"{source} is damaged: {info.name} is not what was saved")
    absent = sorted(manifest.members.keys() - seen)
    if absent:
        raise BackupError(f"{source} is not whole: {absent[0]} is missing")
    return manifest


def restore(source: Path) -> Manifest:
    """Fills the empty database and data directory of this installation. Raises BackupError, OSError."""
    manifest = check(source)
    refuse_used_directory()
    tables.refuse_occupied()
    with _opened(source) as tar:
        try:
            tables.migrate_to(manifest.migrations)
            with _artifacts(tar, manifest) as put_in_place, transaction.atomic():
                _fill(tar, manifest)
                put_in_place()
        except DatabaseError as error:
            raise BackupError(
                f"the database does not take the archive: {' '.join(str(error).split())}"
            ) from error
        _restore_secrets(tar, manifest)
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    return manifest


def refuse_used_directory() -> None:
    """Raises BackupError where this data directory is that of an installation."""
    directory = Path(settings.DATA_DIR)
    used = [name for name in MADE_BY_A_START if (directory / name).exists()]
    artifacts = directory / "artifacts"
    if artifacts.exists() and any(artifacts.iterdir()):
        used.append("artifacts")
    if used:
        raise BackupError(
            f"{directory} is in use (it has {used[0]}): a backup is restored only into an empty data directory"
        )


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{source} is not a whole archive: {error}") from error


def _manifest(tar: tarfile.TarFile, source: Path) -> Manifest:
    try:
        info = tar.getmember(MANIFEST)
        if not info.isreg() or info.size > MAX_MANIFEST:
            raise BackupError(f"{source} has no manifest that could be read")
        return Manifest.model_validate_json(_content(tar, MANIFEST).read())
    except KeyError as error:
        raise BackupError(f"{source} has no manifest: it is no backup, or it was cut off") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise BackupError(f"{source} has a manifest of another kind: {where}: {first['msg']}") from error


def _content(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    if found is None:
        raise BackupError(f"{member} is not a plain file")
    return found


def _digest(source: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(CHUNK):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _artifacts(tar: tarfile.TarFile, manifest: Manifest) -> Iterator["_Staged"]:
    """The files, beside their place until the rows are there too."""
    staged = _Staged(path_of("0" * 64).parents[1])
    staged.fill(tar, manifest)
    try:
        yield staged
    except BaseException:
        staged.remove()
        raise


class _Staged:
    def __init__(self, place: Path) -> None:
        self._place = place
        self._draft = place.with_name(f"{place.name}.restoring")

    def fill(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)  # of a restore that was killed
        self._draft.mkdir(mode=0o700)
        for sha256 in manifest.artifacts:
            folder = self._draft / path_of(sha256).parent.name
            folder.mkdir(mode=0o700, exist_ok=True)
            with (folder / sha256).open("wb") as file:
                shutil.copyfileobj(_content(tar, f"{ARTIFACTS}{sha256}"), file, CHUNK)
        os.sync()

    def __call__(self) -> None:
        if self._place.exists():
            self._place.rmdir()
        self._draft.rename(self._place)

    def remove(self) -> None:
        for path in (self._draft, self._place):
            shutil.rmtree(path, ignore_errors=True)


def _fill(tar: tarfile.TarFile, manifest: Manifest) -> None:
    there = tables.ours()
    strange = sorted(manifest.tables.keys() - set(there))
    if strange:
        raise BackupError(f"the archive has the table {strange[0]}, which its own migrations do not make")
    tables.clear(there)
    for name, described in manifest.tables.items():
        tables.load(name, described, _content(tar, f"{TABLES}{name}.copy.gz"))
        tables.continue_numbering(name, described.columns)


def _restore_secrets(tar: tarfile.TarFile, manifest: Manifest) -> None:
    for name in manifest.secrets:
        target = Path(settings.DATA_DIR) / name
        draft = target.with_name(f".{name}.restoring")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_content(tar, f"{SECRETS}{name}").read())
        draft.replace(target)
