"""examples/echo_worker.py works as docs/write-a-worker.md describes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.conftest import TIMEOUT_S, TOKEN
from worker_agent.protocol import CheckpointRef, Outcome, Registration
from worker_agent.testing import FakeBackend

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "echo_worker.py"


@pytest.fixture
async def echo(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[Registration]:
    process = subprocess.Popen(
        [
            sys.executable, str(EXAMPLE), "--port", "0", "--api-url", backend.url, "--worker-id", "echo",
            "--data-dir", str(tmp_path),
        ],
        env={**os.environ, "KTRDR_WORKER_TOKEN": TOKEN},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield await backend.worker("echo")
    process.terminate()
    assert await asyncio.to_thread(process.wait, TIMEOUT_S) == 0


async def test_it_echoes_with_progress_metrics_and_an_artifact(
    echo: Registration, backend: FakeBackend
) -> None:
    await backend.start(echo, "op", {"text": "hello", "times": 3, "pause_s": 0.01})
    report = await backend.report_of("op")
    assert (report.outcome, report.result) == (Outcome.COMPLETED, {"echoes": 3})
    assert [line.message for line in report.logs] == ["hello"] * 3
    assert [point.value for point in report.metrics] == [1.0, 2.0, 3.0]
    assert backend.files[report.artifacts[0].sha256] == b"hello\nhello\nhello"


async def test_after_a_cancellation_it_resumes_where_it_stopped(
    echo: Registration, backend: FakeBackend
) -> None:
    await backend.start(echo, "op", {"text": "hello", "times": 1000, "pause_s": 0.05})
    while not (await backend.ask(echo, "GET", "/api/v1/operations/op/logs?cursor=0"))[1]["results"]:
        await asyncio.sleep(0.02)
    await backend.ask(echo, "DELETE", "/api/v1/operations/op/cancel")
    echoes = ((await backend.report_of("op")).result or {})["echoes"]
    _, checkpoint = backend.checkpoints[-1]
    assert checkpoint.step == echoes
    resume = CheckpointRef(attempt=1, step=checkpoint.step, files=checkpoint.files)
    parameters = {"text": "hello", "times": echoes + 2, "pause_s": 0.01}
    await backend.start(echo, "op", parameters, attempt=2, resume_from=resume)
    await backend.until(lambda: len(backend.reports_of("op")) == 2)
    resumed = backend.reports_of("op")[-1]
    assert resumed.result == {"echoes": echoes + 2}
    assert len(resumed.logs) == 2


async def test_a_blank_text_is_invalid(echo: Registration, backend: FakeBackend) -> None:
    await backend.start(echo, "op", {"text": "   "})
    report = await backend.report_of("op")
    assert report.error is not None
    assert (report.error.error_class, report.error.message) == ("invalid", "The text is blank.")
