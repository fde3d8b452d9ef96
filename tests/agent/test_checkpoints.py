"""Checkpoints reach the backend in the order in which the job saved them, because it keeps the last one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from worker_agent.attempt import checkpoint_upload
from worker_agent.attempt.job_files import JobFiles
from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.running_attempt import RunningAttempt
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError
from worker_agent.protocol import CheckpointReport, StartRequest


class FailingOnce:
    """A client whose first call fails; it holds what was stored."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.has_failed = False

    async def put_file(self, *_: Any) -> None:
        await asyncio.sleep(0)

    async def checkpoint(self, _: str, message: CheckpointReport) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise BackendError("gone")
        self.steps.append(message.step)


@pytest.mark.parametrize(("steps", "stored"), [((1, 2), [1, 2]), ((1, 2, 3, 4), [1, 4])])
async def test_a_checkpoint_that_is_sent_again_does_not_replace_a_newer_one(
    steps: tuple[int, ...], stored: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint_upload, "PAUSE_S", 0.01)
    client = FailingOnce()
    services: Any = Services("instance", client, None, None, None, asyncio.Event())  # type: ignore[arg-type]
    record = AttemptRecord("op", "echo", 1, JobFiles(tmp_path))
    unused: Any = None
    attempt = RunningAttempt(record, services, unused, unused, StartRequest(task_id="op", attempt=1), {})
    paths = [tmp_path / str(step) for step in steps]
    for step, path in zip(steps, paths, strict=True):
        path.write_bytes(b"state")
        attempt._upload_checkpoint(step, {"state": path})
        await asyncio.sleep(0)
    while tasks := list(attempt._side_tasks):
        await asyncio.gather(*tasks)
    assert client.steps == stored
    assert not any(path.exists() for path in paths)
