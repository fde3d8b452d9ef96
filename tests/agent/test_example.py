"""examples/echo_worker.py does what docs/write-a-worker.md says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.conftest import ENDS_WITHIN_S, TOKEN
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
    assert await asyncio.to_thread(process.wait, ENDS_WITHIN_S) == 0


async def test_it_echoes_with_progress_metrics_and_an_artifact(
    echo: Registration, backend: FakeBackend
) -> None:
    await backend.start(echo, "op", {"text": "hello", "times": 3, "pause_s": 0.01})
    report = await backend.report_of("op")
    assert (report.outcome, report.result) == (Outcome.COMPLETED, {"said": 3})
    assert [line.message for line in report.logs] == ["hello"] * 3
    assert [point.value for point in report.metrics] == [1.0, 2.0, 3.0]
    assert backend.files[report.artifacts[0].sha256] == b"hello\nhello\nhello"


async def test_cancelled_it_keeps_its_place_and_goes_on_from_there(
    echo: Registration, backend: FakeBackend
) -> None:
    await backend.start(echo, "op", {"text": "hello", "times": 1000, "pause_s": 0.05})
    while not (await backend.ask(echo, "GET", "/api/v1/operations/op/logs?cursor=0"))[1]["results"]:
        await asyncio.sleep(0.02)
    await backend.ask(echo, "DELETE", "/api/v1/operations/op/cancel")
    said = ((await backend.report_of("op")).result or {})["said"]
    _, kept = backend.checkpoints[-1]
    assert kept.step == said
    resume = CheckpointRef(attempt=1, step=kept.step, files=kept.files)
    parameters = {"text": "hello", "times": said + 2, "pause_s": 0.01}
    await backend.start(echo, "op", parameters, attempt=2, resume_from=resume)
    await backend.until(lambda: len(backend.reports_of("op")) == 2)
    again = backend.reports_of("op")[-1]
    assert again.result == {"said": said + 2}
    assert len(again.logs) == 2


async def test_what_cannot_be_echoed_is_said_in_a_sentence(echo: Registration, backend: FakeBackend) -> None:
    await backend.start(echo, "op", {"text": "   "})
    report = await backend.report_of("op")
    assert report.error is not None
    assert (report.error.error_class, report.error.message) == ("invalid", "There is nothing to echo.")
