"""The load on a worker when a thousand users watch its operation. Target: about one round of requests a second.

Each asks for the operation's progress every few seconds, over the web server's two processes; the worker is a stub
that counts. A round is one request each for the operation, its metrics and its logs.
"""

import asyncio
import time

import httpx

from benchmarks._figures import print_figure
from benchmarks._system import running
from worker_agent.testing import StubWorker

USERS = 1_000
SECONDS = 15.0
AT_ONCE = 32
"""Connections; a user waits for one."""


async def main() -> None:
    with running() as system:
        headers = {"Authorization": f"Bearer {system.token}"}
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with (
            httpx.AsyncClient(base_url=system.url, headers=headers, timeout=60, limits=limits) as http,
            StubWorker("watched", system.url, system.enrolment_token, work_s=300) as worker,
        ):
            await worker.register()
            submitted = await http.post("/operations", json={"operation_type": "noop", "parameters": {}})
            path = f"/operations/{submitted.json()['operation_id']}"
            await worker.until(lambda: worker.count("start") == 1)
            await watch(http, path, worker)


async def watch(http: httpx.AsyncClient, path: str, worker: StubWorker) -> None:
    before = worker.count("operation")
    begun = time.perf_counter()
    answered = 0

    async def user() -> None:
        nonlocal answered
        while time.perf_counter() - begun < SECONDS:
            answer = await http.get(path)
            if answer.status_code != 200:
                raise SystemExit(f"GET {path}: {answer.status_code} {answer.text[:300]}")
            answered += 1

    await asyncio.gather(*(user() for _ in range(USERS)))
    seconds = time.perf_counter() - begun
    if answered < USERS:
        raise SystemExit(f"only {answered} of {USERS} users were answered")
    print_figure(f"answers to {USERS:,} users who watch one operation", answered / seconds, "1/s")
    print_figure(
        "requests for it that its worker sees", (worker.count("operation") - before) / seconds, "1/s"
    )


if __name__ == "__main__":
    asyncio.run(main())
