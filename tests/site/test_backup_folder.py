"""A folder of backups has each artifact once, and each of its archives can be restored."""

import json
import os
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from ktrdr_site.backup import saving
from ktrdr_site.backup.folder import BackupFolder
from ktrdr_site.backup.manifest import BackupError
from ktrdr_site.backup.rehearsal import compare
from ktrdr_site.backup.restoring import check, read_manifest
from operations import artifacts
from operations.models import Artifact, Operation, StoredFile
from operations.stores.local_disk import path_of
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path, person: User) -> BackupFolder:
    """An empty folder, beside a site with an operation and its artifact."""
    store(b"bars", OperationFactory(created_by=person))
    return BackupFolder(tmp_path / "backups")


def store(content: bytes, operation: Operation) -> StoredFile:
    stored = artifacts.put([content])
    Artifact.objects.create(operation=operation, role="output", name=f"{stored.sha256}.csv", file=stored)
    return stored


def copies(folder: BackupFolder) -> dict[str, Path]:
    return {path.name: path for path in (folder.directory / "artifacts").glob("??/*")}


def empty_the_site(settings: Any, data_dir: Path) -> None:
    call_command("flush", interactive=False, verbosity=0)
    settings.DATA_DIR = data_dir
    data_dir.mkdir()


def test_each_artifact_is_copied_once_and_each_archive_is_restored(
    folder: BackupFolder, settings: Any, tmp_path: Path, capsys: Any
) -> None:
    call_command("backup", "--into", folder.directory)
    first = folder.newest_archive().rename(folder.directory / "ktrdr-20260101-000000.tar")
    ((sha256, copy),) = copies(folder).items()
    inode = copy.stat().st_ino
    more = store(b"more bars", Operation.objects.get())
    capsys.readouterr()
    call_command("backup", "--into", folder.directory, "--json")
    summary = json.loads(capsys.readouterr().out)
    assert (summary["artifacts"], summary["artifact_bytes"]) == (2, len(b"bars" + b"more bars"))
    assert copies(folder).keys() == {sha256, more.sha256}
    assert copy.stat().st_ino == inode, "the first artifact was written again"
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder.directory, *folder.directory.rglob("*")])
    with tarfile.open(summary["file"]) as tar:
        assert not [name for name in tar.getnames() if name.startswith("artifacts/")]
    for source, count in ((first, 1), (folder.directory, 2)):  # a folder means its newest archive
        empty_the_site(settings, tmp_path / f"new-{count}")
        call_command("restore", source)
        assert Artifact.objects.count() == count
        for row in StoredFile.objects.all():
            assert path_of(row.sha256).stat().st_size == row.size


def lose(copy: Path) -> None:
    copy.unlink()


def shorten(copy: Path) -> None:
    copy.write_bytes(b"bar")


def change(copy: Path) -> None:
    copy.write_bytes(b"barz")


def link(copy: Path) -> None:
    copy.rename(copy.with_name("elsewhere"))
    copy.symlink_to(copy.with_name("elsewhere"))


def pipe(copy: Path) -> None:
    """Opening it waits for a writer."""
    copy.unlink()
    os.mkfifo(copy)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "is incomplete: .* is missing"),
        (shorten, "is damaged: it differs from its checksum"),
        (change, "is damaged: it differs from its checksum"),
        (link, "is damaged: it is not a regular file"),
        (pipe, "is damaged: it is not a regular file"),
    ],
)
def test_a_lost_or_damaged_copy_is_refused_and_nothing_changes(
    folder: BackupFolder, settings: Any, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    call_command("backup", "--into", folder.directory)
    damage(*copies(folder).values())
    empty_the_site(settings, tmp_path / "new")
    for words in (["--check"], []):
        with pytest.raises(CommandError, match=message):
            call_command("restore", folder.directory, *words)
    assert not User.objects.exists()
    assert not list(settings.DATA_DIR.iterdir())


def test_old_archives_go_with_the_artifacts_that_only_they_need(
    folder: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, content in enumerate([b"first", b"second", b"third"], 1):
        Artifact.objects.all().delete()
        StoredFile.objects.all().delete()
        store(content, Operation.objects.get())
        created = datetime(2026, 1, day, tzinfo=UTC)
        monkeypatch.setattr(saving, "datetime", mock.Mock(now=mock.Mock(return_value=created)))
        with folder.lock():
            saving.backup(folder.directory / f"ktrdr-2026010{day}-000000.tar", folder=folder)
    now = mock.Mock(now=mock.Mock(return_value=datetime(2026, 1, 4, tzinfo=UTC)))
    monkeypatch.setattr("ktrdr_site.backup.folder.datetime", now)
    assert folder.remove_older(timedelta(days=2.5), read_manifest) == (1, 1)
    assert sorted(path.read_bytes() for path in copies(folder).values()) == [b"second", b"third"]
    assert folder.remove_older(timedelta(days=0.1), read_manifest) == (1, 1)
    assert [path.name for path in folder.archives()] == ["ktrdr-20260103-000000.tar"], "the newest stays"
    check(folder.newest_archive())
    (folder.directory / "ktrdr-20260101-000000.tar").write_bytes(b"torn")
    with pytest.raises(BackupError, match="is not a complete archive"):
        folder.remove_older(timedelta(days=0.1), read_manifest)
    check(folder.newest_archive())


def test_a_disk_error_while_copying_leaves_no_partial_copy(
    folder: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ktrdr_site.backup.folder.os.fsync", fail)
        with pytest.raises(CommandError, match="cannot be written: No space left on device"):
            call_command("backup", "--into", folder.directory)
    assert not copies(folder)
    assert not folder.archives()
    call_command("backup", "--into", folder.directory)
    check(folder.newest_archive())


def test_two_backups_do_not_write_into_one_folder_at_once(folder: BackupFolder, tmp_path: Path) -> None:
    with folder.lock(), pytest.raises(CommandError, match="another backup is being written"):
        call_command("backup", "--into", folder.directory)
    for keep in ("0", "-1", "nan"):
        with pytest.raises(CommandError, match="a number of days above 0"):
            call_command("backup", "--into", folder.directory, "--keep", keep)
    with pytest.raises(CommandError, match="--keep needs --into"):
        call_command("backup", tmp_path / "x.tar", "--keep", "30")
    with pytest.raises(CommandError, match="contains no archive"):
        call_command("restore", tmp_path, "--check")
    call_command("backup", "--into", folder.directory, "--keep", "30")


def test_a_rehearsal_names_what_a_restored_copy_lacks(folder: BackupFolder, tmp_path: Path) -> None:
    manifest = saving.backup(tmp_path / "backup.tar")
    compare(manifest, manifest)
    (artifact,) = manifest.artifacts
    members = {name: member for name, member in manifest.members.items() if artifact not in name}
    with pytest.raises(BackupError, match=f"lacks 1 artifacts, among them {artifact}"):
        compare(manifest, manifest.model_copy(update={"members": members}))
    users = manifest.tables["auth_user"]
    fewer = {**manifest.tables, "auth_user": users.model_copy(update={"rows": 0})}
    for migrations in (manifest.migrations, ()):
        restored = manifest.model_copy(update={"tables": fewer, "migrations": migrations})
        with pytest.raises(BackupError, match="has 0 rows in auth_user, the backup 1"):
            compare(manifest, restored)
    member = "tables/auth_user.copy.gz"
    changed = {**manifest.members, member: manifest.members[member].model_copy(update={"sha256": "0" * 64})}
    with pytest.raises(BackupError, match="other content in auth_user"):
        compare(manifest, manifest.model_copy(update={"members": changed}))
