"""The site with its files in a real service with the API of S3."""

import hashlib
import re
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from ktrdr_site.backup.restoring import restore
from ktrdr_site.backup.saving import backup
from operations import artifacts, orphans
from operations.models import Artifact, StoredFile
from operations.stores.local_disk import local_disk, path_of
from operations.stores.selected import UnknownStore, selected_store, store_named
from tests.factories import OperationFactory
from tests.object_store import BUCKET, ObjectStore

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def in_s3(
    object_store_server: ObjectStore,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    for name, value in object_store_server.environment.items():
        monkeypatch.setenv(name, value)
    settings.ARTIFACT_STORE = f"s3://{BUCKET}/{re.sub(r'[^a-z0-9]+', '-', request.node.name)}"


@pytest.fixture
def address(in_s3: None, staff: Any, client: Client) -> str:
    client.force_login(staff)
    operation = OperationFactory()
    file = artifacts.put([CONTENT])
    Artifact.objects.create(operation=operation, role="output", name="chart.bin", file=file)
    return f"/operations/{operation.pk}/artifacts/chart.bin"


def test_a_download_is_redirected_to_the_service_which_sends_the_file(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 307
    assert response["Cache-Control"] == "no-store"
    direct = httpx.get(response["Location"], trust_env=False)
    assert direct.content == CONTENT
    assert direct.headers["Content-Disposition"] == "attachment"
    changed = httpx.get(response["Location"].replace("Expires=900", "Expires=90000"), trust_env=False)
    assert changed.status_code == 403, "the signature covers the time"
    assert not list(local_disk().root.rglob("*")), "nothing stays on the disk of the site"


def test_the_site_itself_answers_ranges(client: Client, address: str) -> None:
    response = client.get(address, headers={"range": "bytes=100-70000"})
    assert response.status_code == 206
    assert response.getvalue() == CONTENT[100:70001]


def test_the_cleanup_removes_files_and_orphans(in_s3: None, settings: Any) -> None:
    settings.ARTIFACT_RETENTION_DAYS = 0
    stored = artifacts.put([CONTENT])
    assert artifacts.remove_unreferenced() == 1
    store = selected_store()
    assert not store.exists(stored.pk)
    orphan = artifacts.put([b"without a row"]).pk
    StoredFile.objects.all().delete()
    assert orphans.remove_without_row(store, orphan[:2]) == 0, "it is young"
    assert store.exists(orphan)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_SECRET_ACCESS_KEY", "of somebody else"), ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")],
)
def test_a_service_that_refuses_or_is_not_there_is_an_error_like_that_of_a_disk(
    in_s3: None, monkeypatch: pytest.MonkeyPatch, settings: Any, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    settings.ARTIFACT_STORE += "-failing"
    with pytest.raises(OSError, match="store of files") as refused:
        artifacts.put([CONTENT])
    assert "\n" not in str(refused.value)
    assert not StoredFile.objects.exists()
    assert not [path for path in local_disk().root.rglob("*") if path.is_file()]


def copy(source: str, target: str) -> str:
    out = StringIO()
    call_command("copy_artifacts", source, target, stdout=out)
    return out.getvalue()


def test_files_are_copied_to_the_service_and_back(in_s3: None, settings: Any) -> None:
    bucket, settings.ARTIFACT_STORE = settings.ARTIFACT_STORE, "local"
    names = [artifacts.put([str(number).encode()]).pk for number in range(3)]
    assert copy("local", bucket) == "3 files copied (0.0 MiB), 0 were there\n"
    names.append(artifacts.put([b"late"]).pk)
    assert copy("local", bucket) == "1 files copied (0.0 MiB), 3 were there\n"
    for name in names:
        path_of(name).unlink()
    assert copy(bucket, "local") == "4 files copied (0.0 MiB), 0 were there\n"
    assert path_of(names[-1]).read_bytes() == b"late"


def test_missing_and_damaged_files_are_named_and_the_others_copied(in_s3: None, settings: Any) -> None:
    bucket, settings.ARTIFACT_STORE = settings.ARTIFACT_STORE, "local"
    whole, lost, broken = (artifacts.put([content]).pk for content in (b"whole", b"lost", b"broken"))
    path_of(lost).unlink()
    path_of(broken).write_bytes(b"brokem")
    with pytest.raises(
        CommandError,
        match=f"1 missing in local, for example {lost}; 1 damaged in local, for example {broken}",
    ):
        copy("local", bucket)
    store = store_named(bucket)
    assert [store.exists(name) for name in (whole, lost, broken)] == [True, False, False]


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_restored_into_the_service(in_s3: None, settings: Any, tmp_path: Path) -> None:
    operation = OperationFactory()
    file = artifacts.put([CONTENT])
    Artifact.objects.create(operation=operation, role="output", name="chart.bin", file=file)
    backup(tmp_path / "backup.tar")
    call_command("flush", interactive=False, verbosity=0)
    settings.DATA_DIR = tmp_path / "new"
    settings.DATA_DIR.mkdir()
    settings.ARTIFACT_STORE += "-restored"
    restore(tmp_path / "backup.tar")
    with artifacts.open_file(file.pk) as restored:
        assert hashlib.file_digest(restored, "sha256").hexdigest() == file.pk
    assert not path_of(file.pk).exists()


@pytest.mark.parametrize("name", ["", "disk", "s3://", "s3:bucket", "https://bucket/x", "s3://bucket/x?y"])
def test_other_names_of_stores_are_refused(name: str) -> None:
    with pytest.raises(UnknownStore, match=r"must be local or s3://BUCKET/PREFIX"):
        store_named(name)
