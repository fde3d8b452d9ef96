"""The order of an operation's last steps: stored on disk, worker idle, report delivered."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from worker_agent.backend.outbox import Outbox, OutboxEntry
from worker_agent.protocol import FinishedOperation, Outcome, Report


class RecordingClient:
    """A client that records the reports instead of sending them."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.received = asyncio.Event()

    async def report(self, operation_id: str, _: Report) -> None:
        self.reported.append(operation_id)
        self.received.set()


async def test_a_report_is_sent_after_it_is_on_disk_and_its_worker_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk_ready = threading.Event()
    fsync = os.fsync

    def wait_and_sync(descriptor: int) -> None:
        assert disk_ready.wait(10)
        fsync(descriptor)

    client = RecordingClient()
    outbox = Outbox(tmp_path, client, asyncio.Event().wait)
    outbox.load()
    delivering = asyncio.create_task(outbox.deliver())
    report = Report(attempt=1, instance_id="i", outcome=Outcome.COMPLETED, result={})
    entry = OutboxEntry(finished=FinishedOperation(operation_id="op", report=report), files={}, directory="")
    monkeypatch.setattr("worker_agent.backend.outbox.os.fsync", wait_and_sync)

    reported_when_idle: list[list[str]] = []

    async def finish() -> None:
        await outbox.add(entry)
        reported_when_idle.append(list(client.reported))

    finishing = asyncio.create_task(finish())
    await asyncio.sleep(0.1)
    assert client.reported == []
    assert outbox.finished_operations() == ()
    disk_ready.set()
    await asyncio.wait_for(finishing, 10)
    await asyncio.wait_for(client.received.wait(), 10)
    assert reported_when_idle == [[]]
    assert await outbox.wait_until_empty(10)
    assert list(tmp_path.iterdir()) == [], "nothing is left to be sent again after a restart"
    delivering.cancel()


async def test_only_the_report_that_was_in_the_registration_is_forgotten(tmp_path: Path):
    """The next attempt may come to its end before the answer to the registration arrives."""
    outbox = Outbox(tmp_path, RecordingClient(), asyncio.Event().wait)
    outbox.load()
    finished = []
    for attempt in (1, 2):
        report = Report(attempt=attempt, instance_id="i", outcome=Outcome.COMPLETED, result={})
        finished.append(FinishedOperation(operation_id="op", report=report))
        await outbox.add(OutboxEntry(finished=finished[-1], files={}, directory=""))
    outbox.forget(finished[0])
    assert outbox.finished_operations() == (finished[1],)
    assert [path.name for path in tmp_path.iterdir()] == ["op.2.json"]
