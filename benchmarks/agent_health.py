"""The cost and the response times of an agent: its `/health` while the job holds every core, the start of a job, memory.

A real agent in its own process, with the modules of the backtest worker preloaded; the backend is the fake one.
Targets: 95th percentile of `/health` 0.1 s, a warm job's start 0.3 s, the idle agent's own process 80 MB.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import psutil

from benchmarks._figures import print_figure
from worker_agent.protocol import Registration
from worker_agent.testing import FakeBackend

TOKEN = "bench"
STARTS = 20
CHECKS = 300
PAUSE_S = 0.02


@asynccontextmanager
async def agent(backend: FakeBackend) -> AsyncIterator[psutil.Process]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as directory:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "benchmarks._burning_worker", "--port", "0", "--api-url", backend.url,
                "--worker-id", "bench", "--data-dir", directory,
            ],
            env={**os.environ, "KTRDR_WORKER_TOKEN": TOKEN},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)


async def main() -> None:
    async with FakeBackend(TOKEN) as backend, agent(backend) as process:
        worker = await backend.worker("bench")
        await starts(backend, worker)
        print_figure("idle agent, memory of its own process", process.memory_info().rss / 2**20, "MiB")
        await health(backend, worker)


async def starts(backend: FakeBackend, worker: Registration) -> None:
    """From the start request to the job's first line, the first (cold) one left out."""
    waits = []
    for number in range(STARTS + 1):
        operation_id = f"start-{number}"
        asked = time.time()
        await backend.start(worker, operation_id)
        report = await backend.report_of(operation_id)
        begun = (report.result or {})["begun"]
        assert isinstance(begun, float), report
        waits.append(begun - asked)
    print_figure("warm worker, job start to first work, median", statistics.median(waits[1:]), "s")


async def health(backend: FakeBackend, worker: Registration) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    await backend.start(worker, "burn", {"processes": cores})
    waits = []
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer backend-{worker.instance_id}"}
    ) as http:
        for _ in range(CHECKS):
            begun = time.perf_counter()
            async with http.get(f"{worker.endpoint_url}/health") as answer:
                busy = (await answer.json())["current_operation"]
            waits.append(time.perf_counter() - begun)
            assert busy == "burn", busy
            await asyncio.sleep(PAUSE_S)
    await backend.ask(worker, "DELETE", "/api/v1/operations/burn/cancel")
    await backend.report_of("burn")
    waits.sort()
    print_figure(
        f"/health while {cores + 1} processes burn {cores} cores, median", statistics.median(waits), "s"
    )
    print_figure(
        f"/health while {cores + 1} processes burn {cores} cores, 95th percentile",
        waits[int(0.95 * CHECKS)],
        "s",
    )


if __name__ == "__main__":
    asyncio.run(main())
