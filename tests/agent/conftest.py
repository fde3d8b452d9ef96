"""A real agent in its own process, registered with a fake backend on a real socket."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from worker_agent.protocol import Registration
from worker_agent.testing import FakeBackend

TOKEN = "enrolment-token-of-the-agents"
TIMEOUT_S = 60.0
"""For whatever must happen; only a failure takes so long."""


@dataclass
class RunningAgent:
    """The agent `tester`. To call `start` after its end is a restart with the same files."""

    backend: FakeBackend
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    registered: int = 0
    python: str = sys.executable
    prefix: tuple[str, ...] = ()
    """A command that starts the agent in other circumstances."""

    @property
    def marks(self) -> list[list[str]]:
        path = self.directory / "marks"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def launch(self, **environment: str) -> None:
        given = "KTRDR_DATA_DIR" in self.environment
        data_dir = [] if given else ["--data-dir", str(self.directory / "data")]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.prefix, self.python, "-m", "tests.agent.working_worker", "--port", "0",
                    "--worker-id", "tester", "--api-url", self.backend.url, *data_dir,
                ],
                env={
                    **os.environ, "KTRDR_WORKER_TOKEN": TOKEN, "MARKS": str(self.directory / "marks"),
                    "KTRDR_SHUTDOWN_GRACE_S": "30", **self.environment, **environment,
                },
                stdout=log,
                stderr=log,
            )  # fmt: skip

    async def start(self, **environment: str) -> Registration:
        self.registered = len(self.backend.registrations)
        self.launch(**environment)
        return await self.backend.worker("tester", self.registered + 1, TIMEOUT_S)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, TIMEOUT_S)

    async def wait_until_started(self, times: int = 1) -> None:
        await self.wait_for_mark("started", times)

    async def wait_for_mark(self, word: str, times: int = 1) -> list[str]:
        """Wait until the job has written the mark so often; return its words. Polls, since the job is another process."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(marks := [mark for mark in self.marks if mark[0] == word]) < times:
                await asyncio.sleep(0.01)
        return marks[-1]


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    async with FakeBackend(TOKEN, health_interval_s=60.0, cancel_grace_s=30.0) as fake_backend:
        yield fake_backend


@pytest.fixture
async def agent(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[RunningAgent]:
    running = RunningAgent(backend, tmp_path)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        await asyncio.to_thread(running.process.wait, TIMEOUT_S)
