"""An archive contains everything of one moment. Only a complete one is restored, only into an empty installation."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections

from access.actors import Actor
from ktrdr_site.backup import tables
from ktrdr_site.backup.manifest import MANIFEST, BackupError
from ktrdr_site.backup.restoring import check, read_manifest, restore
from ktrdr_site.backup.saving import backup
from operations import artifacts
from operations.models import Artifact, Operation, StoredFile
from operations.stores.local_disk import path_of
from registry import cleanup, worker_secrets
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "key-of-a-data-provider"


@pytest.fixture
def archive(tmp_path: Path, settings: Any, person: User) -> Path:
    """An archive of an installation with a user, a worker, an operation and its artifact."""
    (settings.DATA_DIR / "secret-key").write_text("the key\n")
    WorkerFactory()
    worker_secrets.save("API_KEY", SECRET, ["news"], Actor("test"))
    operation = OperationFactory(created_by=person, parameters={"text": "tab\t, line\n, \\N, é"})
    stored = artifacts.put([b"bars"])
    Artifact.objects.create(operation=operation, role="input", name="bars.csv", file=stored)
    target = tmp_path / "backup.tar"
    backup(target)
    return target


@pytest.fixture
def emptied(archive: Path, settings: Any, tmp_path: Path) -> Path:
    """The archive, with an empty database and data directory to restore it into."""
    call_command("flush", interactive=False, verbosity=0)
    settings.DATA_DIR = tmp_path / "new"
    settings.DATA_DIR.mkdir()
    return archive


def test_rows_files_and_secrets_come_back_as_they_were(emptied: Path, settings: Any, tmp_path: Path) -> None:
    before = check(emptied)
    restore(emptied)
    operation = Operation.objects.get()
    assert operation.parameters == {"text": "tab\t, line\n, \\N, é"}
    assert operation.created_by is not None
    assert operation.created_by.check_password("a-long-enough-password")
    file = operation.artifacts.get().file
    assert path_of(file.sha256).read_bytes() == b"bars"
    assert (settings.DATA_DIR / "secret-key").read_text() == "the key\n"
    assert (settings.DATA_DIR / "secret-key").stat().st_mode & 0o777 == 0o600
    again = backup(tmp_path / "again.tar")
    assert again.tables == before.tables
    assert again.members == before.members
    assert worker_secrets.read("news", ["API_KEY"]) == {"API_KEY": SECRET}


def test_new_rows_are_numbered_after_the_restored_ones(emptied: Path) -> None:
    restore(emptied)
    newest = Artifact.objects.get()
    stored = artifacts.put([b"more"])
    created = Artifact.objects.create(operation=newest.operation, role="output", name="more", file=stored)
    assert created.pk > newest.pk


def test_only_its_owner_may_read_it_and_it_contains_no_password_or_token_of_users(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        assert [name for name in tar.getnames() if name.startswith("secrets/")] == ["secrets/secret-key"]
        assert all(member.mode == 0o600 for member in tar)
        rows = [
            gzip.decompress(file.read())
            for member in tar
            if member.name.startswith("tables/") and (file := tar.extractfile(member))
        ]
    assert any(b"API_KEY" in content for content in rows)
    assert not any(SECRET.encode() in content for content in rows)


def test_secrets_are_left_out_on_request(archive: Path, tmp_path: Path) -> None:
    assert backup(tmp_path / "other.tar", with_secrets=False).secrets == []


def test_a_write_during_the_backup_is_saved_completely_or_not_at_all(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_with_a_write_meanwhile(table: str, target: Any) -> Any:
        if table == "operations_artifact":  # the first of operations' tables, in alphabetical order
            write_elsewhere(lambda: OperationFactory(operation_id="late"))
        return save(table, target)

    save = tables.save
    monkeypatch.setattr(tables, "save", save_with_a_write_meanwhile)
    assert backup(tmp_path / "other.tar").tables["operations_operation"].rows == 1
    assert Operation.objects.count() == 2


def write_elsewhere(write: Callable[[], Any]) -> None:
    """Write in another connection, and commit."""

    def run() -> None:
        write()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_lost_file_is_reported_and_all_others_are_saved(archive: Path, tmp_path: Path, capsys: Any) -> None:
    lost = artifacts.put([b"lost"])
    path_of(lost.sha256).unlink()
    broken = artifacts.put([b"broken"])
    path_of(broken.sha256).write_bytes(b"brokem")
    with pytest.raises(CommandError, match="2 artifacts were missing or damaged"):
        call_command("backup", tmp_path / "other.tar")
    assert sorted(check(tmp_path / "other.tar").missing_artifacts) == sorted([lost.sha256, broken.sha256])
    assert lost.sha256 in capsys.readouterr().err
    assert len(check(tmp_path / "other.tar").artifacts) == 1
    with pytest.raises(CommandError, match="2 artifacts were missing or damaged"):
        call_command("restore", tmp_path / "other.tar", "--check")
    call_command("restore", tmp_path / "other.tar", "--check", "--allow-missing")
    call_command("backup", tmp_path / "third.tar", "--allow-missing")


def test_a_backup_of_nothing_is_an_error(person: User, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="contains no operations and no artifacts"):
        call_command("backup", tmp_path / "empty.tar")
    with pytest.raises(CommandError, match="contains no operations and no artifacts"):
        call_command("restore", tmp_path / "empty.tar", "--check")
    call_command("restore", tmp_path / "empty.tar", "--check", "--allow-empty")


def test_the_cleanup_goes_on_during_a_backup_and_what_it_removes_is_not_missed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = artifacts.put([b"unused"])
    StoredFile.objects.filter(pk=unused.pk).update(touched_at="2026-01-01T00:00Z")

    def save_with_a_cleanup_meanwhile(table: str, target: Any) -> Any:
        if table == "operations_artifact":
            write_elsewhere(lambda: summaries.append(cleanup.cleanup()))
        return save(table, target)

    save, summaries = tables.save, []
    monkeypatch.setattr(tables, "save", save_with_a_cleanup_meanwhile)
    manifest = backup(tmp_path / "other.tar")
    assert summaries[0] is not None
    assert summaries[0]["failed"] == []
    assert not path_of(unused.sha256).exists()
    assert not manifest.missing_artifacts
    assert len(manifest.artifacts) == 1


def test_an_existing_file_is_not_overwritten(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(CommandError, match="already exists"):
        call_command("backup", archive)
    assert archive.read_bytes() == before


def test_nothing_is_restored_into_a_database_or_directory_in_use(archive: Path, settings: Any) -> None:
    with pytest.raises(CommandError, match="it contains artifacts"):
        call_command("restore", archive)
    settings.DATA_DIR = archive.parent / "new"
    settings.DATA_DIR.mkdir()
    with pytest.raises(CommandError, match="auth_user has rows"):
        call_command("restore", archive)
    assert not (settings.DATA_DIR / "artifacts").exists()


@pytest.mark.parametrize(
    "keep",
    [
        lambda archive: 0,
        lambda archive: 10_000,
        lambda archive: len(archive) // 2,
        lambda archive: archive.rindex(b"}"),
    ],
    ids=["to nothing", "in a table", "in the middle", "by the last byte"],
)
def test_a_truncated_archive_is_refused_and_nothing_changes(
    emptied: Path, settings: Any, keep: Callable[[bytes], int]
) -> None:
    content = emptied.read_bytes()
    emptied.write_bytes(content[: keep(content)])
    with pytest.raises(CommandError, match=r"backup\.tar (is not a complete archive|has no manifest)"):
        call_command("restore", emptied)
    assert not User.objects.exists()
    assert not list(settings.DATA_DIR.iterdir())


def rewrite(archive: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Replace the archive by one with changed members."""
    with tarfile.open(archive) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(archive, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def other_bytes(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("artifacts/"))
    members[name] = b"barz"


def one_more(members: dict[str, bytes]) -> None:
    members["../../outside"] = b"x"


def one_less(members: dict[str, bytes]) -> None:
    del members["tables/operations_operation.copy.gz"]


def no_manifest(members: dict[str, bytes]) -> None:
    del members[MANIFEST]


def other_format(members: dict[str, bytes]) -> None:
    members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), "format": 3}).encode()


def of_the_future(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    members[MANIFEST] = json.dumps({**manifest, "migrations": [["operations", "9999_later"]]}).encode()


def fewer_rows(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    manifest["tables"]["operations_operation"]["rows"] = 7
    members[MANIFEST] = json.dumps(manifest).encode()


def statement_for_a_column(members: dict[str, bytes]) -> None:
    """A server that lets the site's role run programs would run this one."""
    manifest = json.loads(members[MANIFEST])
    columns = manifest["tables"]["operations_operation"]["columns"]
    columns[:] = ['"operation_id") FROM PROGRAM \'touch /tmp/outside\' --"']
    members[MANIFEST] = json.dumps(manifest).encode()


def a_full_disk(members: dict[str, bytes]) -> None:
    """5 MB in 5 kB; with the real limits 300 GB in 300 MB."""
    name = "tables/operations_operation.copy.gz"
    members[name] = gzip.compress(b"x" * 5_000_000)
    manifest = json.loads(members[MANIFEST])
    sha256 = hashlib.sha256(members[name]).hexdigest()
    manifest["members"][name] = {"size": len(members[name]), "sha256": sha256}
    members[MANIFEST] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_full_disk, "operations_operation unpacks to more than 300 times its size"),
        (other_bytes, "is damaged: artifacts/"),
        (one_more, "which is not in its manifest"),
        (one_less, "is incomplete: tables/operations_operation"),
        (no_manifest, "has no manifest"),
        (other_format, "an invalid manifest: format"),
        (of_the_future, "upgrade first"),
        (fewer_rows, "1 rows in the archive but 7 in its manifest"),
        (statement_for_a_column, "operations_operation has no column .* FROM PROGRAM"),
    ],
)
def test_a_changed_archive_is_refused_and_a_restore_can_be_tried_again(
    emptied: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, bytes]], None],
    message: str,
) -> None:
    monkeypatch.setattr(tables, "UNPACKED_FREELY", 1_000_000)
    content = emptied.read_bytes()
    rewrite(emptied, change)
    with pytest.raises(BackupError, match=message):
        restore(emptied)
    assert not StoredFile.objects.exists()
    assert not (settings.DATA_DIR / "artifacts").exists()
    emptied.write_bytes(content)
    restore(emptied)
    assert Operation.objects.exists()


def member(name: str, **fields: Any) -> bytes:
    """Return the header of a member, without its content."""
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse(size: int, stored: int = 0) -> bytes:
    """Return the header of a file of zeros (GNU tar's manual, "Basic Tar Format")."""
    header = bytearray(member(f"artifacts/{'a' * 64}", type=tarfile.GNUTYPE_SPARSE, size=stored))
    header[483:495] = f"{size:011o}\0".encode()
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


@pytest.mark.parametrize(
    "header",
    [
        member("tables/operations_operation.copy.gz", size=-512),
        sparse(8 * 1024**3),
        sparse(1024, stored=-512),
        member("artifacts", type=tarfile.DIRTYPE),
        member("secrets/secret-key", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("secrets/secret-key", type=tarfile.LNKTYPE, linkname=MANIFEST),
        member("secrets/secret-key", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member("secrets/secret-key", type=tarfile.FIFOTYPE),
    ],
    ids=["negative", "sparse", "negative sparse", "folder", "link", "second name", "device", "pipe"],
)
def test_only_plain_files_are_read(archive: Path, header: bytes) -> None:
    """Reading a negative size never ends, and a sparse file can unpack to any size."""
    archive.write_bytes(header + archive.read_bytes())
    for read in (check, read_manifest):
        with pytest.raises(BackupError, match=r"contains '.*', which is not a plain file"):
            read(archive)


def test_a_file_that_is_not_an_archive_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("restore", tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("hello")
    with pytest.raises(CommandError, match="is not a complete archive"):
        call_command("restore", tmp_path / "text.tar", "--check")
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        call_command("backup", tmp_path / "none" / "backup.tar")


def test_the_commands_print_json(archive: Path, capsys: Any) -> None:
    call_command("restore", archive, "--check", "--json")
    summary = json.loads(capsys.readouterr().out)
    assert (summary["operations"], summary["artifacts"], summary["secrets"]) == (1, 1, ["secret-key"])
