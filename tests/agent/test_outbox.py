"""The order of the last steps of an operation: on disk, idle, told."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from worker_agent.backend.outbox import Outbox, OutboxEntry
from worker_agent.protocol import FinishedOperation, Outcome, Report


class Listening:
    """A backend's client that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.heard = asyncio.Event()

    async def report(self, operation_id: str, _: Report) -> None:
        self.told.append(operation_id)
        self.heard.set()


async def test_nobody_hears_of_a_report_before_it_is_on_disk_and_its_worker_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk = threading.Event()
    sync = os.fsync

    def slow(descriptor: int) -> None:
        assert disk.wait(10)
        sync(descriptor)

    client = Listening()
    outbox = Outbox(tmp_path, client, asyncio.Event().wait)
    outbox.load()
    delivering = asyncio.create_task(outbox.deliver())
    report = Report(attempt=1, instance_id="i", outcome=Outcome.COMPLETED, result={})
    kept = OutboxEntry(finished=FinishedOperation(operation_id="op", report=report), files={}, directory="")
    monkeypatch.setattr("worker_agent.backend.outbox.os.fsync", slow)

    told_when_idle: list[list[str]] = []

    async def finish() -> None:
        await outbox.add(kept)
        told_when_idle.append(list(client.told))

    finishing = asyncio.create_task(finish())
    await asyncio.sleep(0.1)
    assert client.told == []
    assert outbox.finished() == ()
    disk.set()
    await asyncio.wait_for(finishing, 10)
    await asyncio.wait_for(client.heard.wait(), 10)
    assert told_when_idle == [[]]
    assert await outbox.wait_until_empty(10)
    assert list(tmp_path.iterdir()) == [], "nothing is left to be told again after a restart"
    delivering.cancel()
