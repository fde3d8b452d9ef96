"""A worker that was given a wheel, a backend, its type and its token, and no torch."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calibration import stretched
from tests.stack.system import ROOT
from tests.waiting import until_exit
from worker_agent.protocol import Registration
from worker_agent.testing import FakeBackend

TOKEN = "enrolment-token-of-the-tests"
ENDS_WITHIN_S = 15
REPORT_WITHIN_S = 60
BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(
    f"2024-01-{day:02},100,101,99,100.5,1000\n" for day in range(2, 31) if day % 7 not in (6, 0)
)


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    async with FakeBackend(TOKEN) as running:
        yield running


@pytest.fixture
async def worker(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[Registration]:
    """Started with the three variables of the documents, on any free port; the import of torch fails in its
    processes as where it is not installed."""
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "torch.py").write_text(
        'raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n'
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KTRDR_", "WORKER_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workers"],
        cwd=ROOT,
        env={
            **kept,
            "PYTHONPATH": str(missing),
            "KTRDR_DATA_DIR": str(tmp_path / "data"),
            "WORKER_PORT": "0",
            "WORKER_ID": "without-torch",
            "KTRDR_API_URL": backend.url,
            "WORKER_TYPE": "backtesting",
            "KTRDR_WORKER_TOKEN": TOKEN,
        },
    )
    try:
        yield await backend.worker("without-torch")
    finally:
        process.terminate()
        assert await asyncio.to_thread(until_exit, process, ENDS_WITHIN_S) == 0


async def test_it_registers_and_imports_market_data(backend: FakeBackend, worker: Registration) -> None:
    assert worker.worker_type == "backtesting"
    announced = [kind.operation_type for kind in worker.operation_types]
    assert announced == [
        "backtesting",
        "data_import",
        "data_preview",
        "strategy_preview",
        "study_batch",
        "study_report",
    ]
    raw = backend.keep("raw", BARS.encode())
    await backend.start(
        worker, "import", {"symbol": "AAA", "timeframe": "1d", "filename": "a.csv"}, inputs=(raw,), kind=1
    )
    report = await backend.report_of("import", stretched(REPORT_WITHIN_S))
    assert report.outcome == "completed", report.error
    assert any(artifact.name.endswith(".parquet") for artifact in report.artifacts)


async def test_a_backtest_of_a_model_fails_with_the_package_to_install(
    backend: FakeBackend, worker: Registration
) -> None:
    model = tuple(backend.keep(f"model/model.{kind}", kind.encode()) for kind in ("safetensors", "json"))
    await backend.start(worker, "backtest", {"symbol": "AAA"}, inputs=model)
    report = await backend.report_of("backtest", stretched(REPORT_WITHIN_S))
    assert report.outcome == "failed"
    assert report.error is not None
    assert report.error.error_class == "invalid", report.error
    assert report.error.message == (
        "This worker cannot load trained models because torch is not installed: "
        "install ktrdr-workers[training] and restart the worker."
    )
