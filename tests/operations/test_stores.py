"""Each store of files keeps the contract of `Store`."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import pytest

from operations.stores.local_disk import LocalDisk
from operations.stores.store import Store
from tests.object_store import BUCKET, ObjectStore

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


@pytest.fixture(params=["local disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "local disk":
        return LocalDisk(tmp_path / "artifacts")
    server: ObjectStore = request.getfixturevalue("object_store_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    from operations.stores.s3 import S3

    return S3(BUCKET, f"of a test/{uuid4()}", tmp_path / "artifacts")


def put(store: Store, content: bytes = CONTENT) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    store.drafts.mkdir(parents=True, exist_ok=True)
    draft = store.drafts / ".incoming-test"
    draft.write_bytes(content)
    store.put(draft, sha256)
    return sha256


def test_a_file_is_there_after_it_was_put_and_gone_after_it_was_deleted(store: Store) -> None:
    assert not store.exists(SHA256)
    assert put(store) == SHA256
    assert put(store) == SHA256, "the same content again"
    assert store.exists(SHA256)
    with store.open(SHA256) as file:
        assert file.read() == CONTENT
    store.delete(SHA256)
    store.delete(SHA256)
    assert not store.exists(SHA256)
    with pytest.raises(FileNotFoundError):
        store.open(SHA256)


@pytest.mark.parametrize(
    ("first", "length"), [(0, 1), (100, 5000), (len(CONTENT) - 1, 10), (len(CONTENT), 1)]
)
def test_a_part_of_a_file_is_read_after_seek(store: Store, first: int, length: int) -> None:
    put(store)
    with store.open(SHA256) as file:
        assert file.seek(0, os.SEEK_END) == len(CONTENT)
        assert file.seek(first) == first
        assert file.read(length) == CONTENT[first : first + length]


def test_an_empty_file_is_a_file(store: Store) -> None:
    with store.open(put(store, b"")) as file:
        assert file.read() == b""


def test_files_are_listed_by_prefix_and_age(store: Store) -> None:
    names = {put(store, str(number).encode()) for number in range(40)}
    by_prefix = {prefix: set(store.old_names(prefix, 0.0)) for prefix in {name[:2] for name in names}}
    assert set().union(*by_prefix.values()) == names
    assert all(name.startswith(prefix) for prefix, found in by_prefix.items() for name in found)
    assert not any(store.old_names(prefix, 3600.0) for prefix in by_prefix)
    assert store.old_names("zz", 0.0) == []
