"""Files by content, and what the API for workers lets a worker do with them."""

import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db.models.functions import Now
from rest_framework.test import APIClient

from operations import artifacts, interruptions, lifecycle, orphans, reports
from operations.actors import Actor
from operations.models import Artifact, Checkpoint, MarketData, StoredFile
from operations.stores.local_disk import path_of
from operations.stores.selected import selected_store
from registry.auth import worker_token
from registry.models import Worker
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory
from worker_agent.protocol import CheckpointReport

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
ME = Actor("user:test")
CONTENT = b"weights" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


def on_disk() -> list[Path]:
    return [path for path in (Path(site.DATA_DIR) / "artifacts").rglob("*") if path.is_file()]


@pytest.fixture
def worker() -> Worker:
    return WorkerFactory()


@pytest.fixture
def agent(worker: Worker) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {worker_token(worker.worker_id, worker.instance_id)}")
    return client


@pytest.fixture
def working(worker: Worker) -> str:
    operation = OperationFactory()
    start_next(ME)
    return operation.pk


def put(agent: APIClient, content: bytes, sha256: str = "") -> Any:
    name = sha256 or hashlib.sha256(content).hexdigest()
    return agent.put(f"/artifacts/{name}", content, content_type="application/octet-stream")


def test_a_file_that_is_put_is_complete_and_under_its_hash(agent: APIClient, working: str) -> None:
    answer = put(agent, CONTENT)
    assert (answer.status_code, answer.json()) == (201, {"sha256": SHA, "size": len(CONTENT)})
    assert path_of(SHA).read_bytes() == CONTENT


def test_the_same_file_twice_is_one_file(agent: APIClient, working: str) -> None:
    assert [put(agent, CONTENT).status_code for _ in range(2)] == [201, 201]
    assert len(on_disk()) == StoredFile.objects.count() == 1


def test_a_file_under_a_wrong_hash_is_refused_and_leaves_nothing(agent: APIClient, working: str) -> None:
    answer = put(agent, CONTENT, sha256="0" * 64)
    assert answer.status_code == 422
    assert SHA in answer.json()["detail"]
    assert not on_disk()
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("name", ["xyz", SHA.upper(), "..", SHA + "0"])
def test_a_name_that_is_no_hash_is_unknown(agent: APIClient, working: str, name: str) -> None:
    assert put(agent, CONTENT, sha256=name).status_code == 404


def test_a_file_that_is_too_large_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind the limit is not read: the body may never end."""
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 100

    with pytest.raises(artifacts.TooLarge):
        artifacts.put(endless(), max_size=1000)
    assert read == 11
    assert not on_disk()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_507_and_leaves_nothing_behind(
    agent: APIClient, working: str, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = put(agent, CONTENT)
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["detail"]
    assert not on_disk()
    assert put(agent, CONTENT).status_code == 201, "there is room again"


def test_a_worker_without_an_attempt_may_not_put(agent: APIClient) -> None:
    assert put(agent, CONTENT).status_code == 403


def test_a_person_may_read_but_not_put(api: APIClient) -> None:
    artifacts.put([CONTENT])
    answer = api.get(f"/artifacts/{SHA}")
    assert b"".join(answer.streaming_content) == CONTENT
    for close in answer._resource_closers:
        close()
    assert put(api, b"other").status_code == 403


def test_a_worker_reads_what_its_operation_names_and_nothing_else(agent: APIClient, working: str) -> None:
    named, other = artifacts.put([b"input"]), artifacts.put([b"of somebody else"])
    Artifact.objects.create(operation_id=working, role="input", name="raw", file=named)
    elsewhere = OperationFactory()
    Artifact.objects.create(operation=elsewhere, role="input", name="raw", file=other)
    answer = agent.get(f"/artifacts/{named.sha256}")
    assert b"".join(answer.streaming_content) == b"input"
    for close in answer._resource_closers:
        close()
    assert agent.get(f"/artifacts/{other.sha256}").status_code == 403


def old(stored: StoredFile) -> StoredFile:
    StoredFile.objects.filter(pk=stored.pk).update(touched_at=Now() - timedelta(days=4000))
    return stored


def test_the_cleanup_removes_what_nothing_refers_to_and_nothing_else() -> None:
    """A result keeps its inputs, its outputs, its checkpoint's files; market data keeps its bars."""
    operation = OperationFactory()
    checkpoint = Checkpoint.objects.create(operation=operation, attempt=1, step=1)
    kept = {role: old(artifacts.put([role.encode()])) for role in ("input", "output", "checkpoint", "bars")}
    for role in ("input", "output"):
        Artifact.objects.create(operation=operation, role=role, name="x", file=kept[role])
    Artifact.objects.create(
        operation=operation, role="checkpoint", name="x", checkpoint=checkpoint, file=kept["checkpoint"]
    )
    MarketData.objects.create(
        symbol="AAPL",
        timeframe="1d",
        file=kept["bars"],
        rows=1,
        start="2020-01-01T00:00Z",
        end="2020-01-01T00:00Z",
    )
    old(artifacts.put([b"nobody's"]))
    young = artifacts.put([b"about to be reported"])
    assert artifacts.remove_unreferenced() == 1
    assert {path.name for path in on_disk()} == {file.sha256 for file in (*kept.values(), young)}


def test_the_cleanup_works_in_batches() -> None:
    for number in range(5):
        old(artifacts.put([str(number).encode()]))
    assert [artifacts.remove_unreferenced(batch=2, lasts_s=0) for _ in range(4)] == [2, 2, 1, 0]
    assert not on_disk()


def test_the_cleanup_keeps_pace_and_looks_at_referred_files_only_once(
    django_assert_num_queries: Any,
) -> None:
    operation = OperationFactory()
    referred = [old(artifacts.put([f"referred {number}".encode()])) for number in range(3)]
    for file in referred:
        Artifact.objects.create(operation=operation, role="output", name=file.pk, file=file)
    for number in range(7):
        old(artifacts.put([str(number).encode()]))
    assert artifacts.remove_unreferenced(batch=2) == 7
    with django_assert_num_queries(3):  # savepoint, files, release
        assert artifacts.remove_unreferenced() == 0
    assert set(StoredFile.objects.values_list("touched_at", flat=True)) == {None}


@pytest.mark.parametrize("way", ["delete", "operation", "replace", "market data"])
def test_a_file_is_removed_a_while_after_its_last_reference(way: str) -> None:
    file, operation = old(artifacts.put([CONTENT])), OperationFactory()
    if way == "market data":
        row: Any = MarketData.objects.create(
            symbol="A", timeframe="1d", file=file, rows=1, start="2020-01-01T00:00Z", end="2020-01-01T00:00Z"
        )
    else:
        row = Artifact.objects.create(operation=operation, role="output", name="x", file=file)
    assert artifacts.remove_unreferenced() == 0
    match way:
        case "operation":
            operation.delete()
        case "replace":
            type(row).objects.filter(pk=row.pk).update(file=artifacts.put([b"other"]))
        case _:
            row.delete()
    assert artifacts.remove_unreferenced() == 0, "the retention time starts with the end of the reference"
    old(file)
    assert artifacts.remove_unreferenced() == 1


def test_partial_uploads_and_files_without_a_row_are_removed_when_they_are_old() -> None:
    stored = artifacts.put([CONTENT])
    root = path_of(SHA).parents[1]
    directory = root / "ab"
    directory.mkdir(exist_ok=True)
    lost, partial, fresh = directory / ("ab" * 32), root / ".incoming-x", directory / ("ab" + "cd" * 31)
    for path in (lost, partial, fresh):
        path.write_bytes(b"x")
    for path in (lost, partial, path_of(SHA)):
        os.utime(path, (0, 0))
    assert orphans.remove_partial_uploads(root) == 1
    store = selected_store()
    assert orphans.remove_without_row(store, "ab") == 1
    assert orphans.remove_without_row(store, SHA[:2]) == 0
    assert orphans.remove_without_row(store, "00") == 0
    assert not lost.exists()
    assert not partial.exists()
    assert fresh.exists()
    assert path_of(stored.pk).exists()


def test_a_file_that_is_put_again_while_old_ones_are_removed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts.put([CONTENT])
    StoredFile.objects.all().delete()
    os.utime(path_of(SHA), (0, 0))
    list_them = orphans._without_row

    def put_after_it(*arguments: Any) -> list[str]:
        names = list_them(*arguments)
        assert names == [SHA]
        artifacts.put([CONTENT])
        return names

    monkeypatch.setattr(orphans, "_without_row", put_after_it)
    assert orphans.remove_without_row(selected_store(), SHA[:2]) == 0
    assert StoredFile.objects.filter(pk=SHA).exists()
    assert path_of(SHA).read_bytes() == CONTENT


def test_what_was_removed_can_be_put_again() -> None:
    old(artifacts.put([CONTENT]))
    artifacts.remove_unreferenced()
    artifacts.put([CONTENT])
    assert path_of(SHA).read_bytes() == CONTENT


def checkpoint(step: int) -> CheckpointReport:
    file = artifacts.put([f"state {step}".encode()])
    ref = {"name": "state", "sha256": file.sha256, "size": file.size}
    return CheckpointReport(attempt=1, instance_id="any", step=step, files=[ref])


def test_only_the_newest_checkpoint_is_kept(worker: Worker, working: str) -> None:
    for step in (1, 2):
        assert reports.add_checkpoint(working, worker.worker_id, checkpoint(step)) == "applied"
    assert reports.add_checkpoint(working, worker.worker_id, checkpoint(2)) == "repeated"
    assert [one.step for one in Checkpoint.objects.all()] == [2]
    assert Artifact.objects.count() == 1


def test_a_newer_state_of_the_same_step_replaces_the_older_one(worker: Worker, working: str) -> None:
    """A batch of trainings saves each of them every few seconds; its step is the number of those that have ended."""
    older, newer = checkpoint(1), checkpoint(1).model_copy(update={"files": checkpoint(2).files})
    saved_at = []
    for message, status in ((older, "applied"), (newer, "applied"), (newer, "repeated")):
        assert reports.add_checkpoint(working, worker.worker_id, message) == status
        assert Checkpoint.objects.get().step == 1
        saved_at.append(Checkpoint.objects.get().created_at)
    assert saved_at[0] < saved_at[1] == saved_at[2]
    assert Artifact.objects.get().file_id == newer.files[0].sha256


def test_a_checkpoint_of_an_attempt_that_counts_no_more_is_refused(worker: Worker, working: str) -> None:
    """lesson W9"""
    interruptions.mark_lost(working, 1, ME, "gone")
    assert reports.add_checkpoint(working, worker.worker_id, checkpoint(9)) == "refused"
    assert not Checkpoint.objects.exists()


def test_a_report_whose_files_were_not_put_is_refused_and_changes_nothing(
    agent: APIClient, working: str
) -> None:
    said = {
        "attempt": 1,
        "instance_id": "any",
        "outcome": "completed",
        "result": {},
        "artifacts": [{"name": "report.json", "sha256": SHA, "size": 1}],
    }
    answer = agent.post(f"/operations/{working}/report", said, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (422, "report.json is not stored")
    assert lifecycle.Operation.objects.get().status == "RUNNING"
    put(agent, CONTENT)
    assert agent.post(f"/operations/{working}/report", said, format="json").status_code == 200
