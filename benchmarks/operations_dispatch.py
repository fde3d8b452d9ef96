"""How long an operation waits for an idle worker, and how many no-ops a second go through the whole system.

The system is `manage.py up` (web server, dispatcher, schedules, embedded PostgreSQL) at its default clocks; the
workers are stubs that report at once. Targets: median 0.1 s, 95th percentile 0.3 s; 40 operations a second over
ten stubs on two cores.
"""

import asyncio
import json
import statistics
import time

import httpx

from benchmarks._noops import stubs, submit, through
from benchmarks._system import System, running
from worker_agent.testing import StubWorker

IDLE_ROUNDS = 60
OPERATIONS = 400
WORKERS = 10


def figure(benchmark: str, value: float, unit: str) -> None:
    print(json.dumps({"benchmark": benchmark, "value": round(value, 4), "unit": unit}), flush=True)


async def main() -> None:
    with running() as system:
        headers = {"Authorization": f"Bearer {system.token}"}
        async with httpx.AsyncClient(base_url=system.url, headers=headers, timeout=30) as http:
            await idle(system, http)
            await throughput(system, http)


async def idle(system: System, http: httpx.AsyncClient) -> None:
    """From the moment the request is sent to the moment the worker is asked to start."""
    waits = []
    async with StubWorker("idle-1", system.url, system.enrolment_token) as worker:
        await worker.register()
        for _ in range(IDLE_ROUNDS):
            begun = time.perf_counter()
            before = worker.count("start")
            submitting = asyncio.create_task(submit(http))
            await worker.until(lambda n=before: worker.count("start") > n)
            waits.append(time.perf_counter() - begun)
            await submitting
            await worker.until(lambda: not worker.undelivered)
            await asyncio.sleep(0.05)
    waits.sort()
    figure("idle submit to start, median", statistics.median(waits), "s")
    figure("idle submit to start, 95th percentile", waits[int(0.95 * len(waits))], "s")


async def throughput(system: System, http: httpx.AsyncClient) -> None:
    async with stubs(system, WORKERS) as workers:
        took = await through(workers, http, OPERATIONS)
    figure("no-op operations submitted", OPERATIONS / took.submitted_s, "1/s")
    figure("no-op operations end to end, 10 stub workers", OPERATIONS / took.ended_s, "1/s")


if __name__ == "__main__":
    asyncio.run(main())
