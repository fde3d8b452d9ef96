"""No-op operations through the whole system: submitted over HTTP, run by stub workers that report at once.

The client is aiohttp, not the httpx of the product's own clients: it shares the cores with the system, and should take as
little of them as possible, since it is not measured.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from benchmarks._system import System
from worker_agent.testing import StubWorker

SUBMITTERS = 8
TIME_LIMIT_S = 120.0
KEPT_S = 5.0
"""Less than the server keeps an idle connection, so it never closes one that is about to be used."""


@dataclass(frozen=True, slots=True)
class Took:
    submitted_s: float
    ended_s: float


def client(system: System, traces: Sequence[aiohttp.TraceConfig] = ()) -> aiohttp.ClientSession:
    """Return a client with the administrator's token."""
    return aiohttp.ClientSession(
        system.url,
        connector=aiohttp.TCPConnector(keepalive_timeout=KEPT_S),
        headers={"Authorization": f"Bearer {system.token}"},
        timeout=aiohttp.ClientTimeout(total=30),
        trace_configs=list(traces),
    )


@asynccontextmanager
async def stubs(
    system: System, number: int, serving: ssl.SSLContext | None = None
) -> AsyncIterator[list[StubWorker]]:
    """Registered; with `serving` they serve https."""
    async with AsyncExitStack() as stack:
        workers = [StubWorker(f"stub-{one}", system.url, system.enrolment_token) for one in range(number)]
        for worker in workers:
            worker.tls = serving
            await stack.enter_async_context(worker)
        await asyncio.gather(*(worker.register() for worker in workers))
        yield workers


async def submit(http: aiohttp.ClientSession) -> str:
    async with http.post("/operations", json={"operation_type": "noop", "parameters": {}}) as response:
        if response.status != 202:
            raise SystemExit(f"POST /operations: {response.status} {await response.text()}")
        return str((await response.json())["operation_id"])


async def through(workers: Sequence[StubWorker], http: aiohttp.ClientSession, number: int) -> Took:
    """So many operations, each of which is to run once."""
    before = [len(worker.runs) for worker in workers]
    begun = time.perf_counter()
    left = iter(range(number))

    async def submitter() -> None:
        for _ in left:
            await submit(http)

    def runs() -> list[tuple[str, int]]:
        pairs = zip(workers, before, strict=True)
        return [run for worker, skip in pairs for run in worker.runs[skip:]]

    await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))
    submitted = time.perf_counter() - begun
    async with asyncio.timeout(TIME_LIMIT_S):
        while len(runs()) < number or any(worker.undelivered for worker in workers):
            await asyncio.sleep(0.01)
    ended = time.perf_counter() - begun
    found = runs()
    if len({operation for operation, _ in found}) != number or len(found) != number:
        raise SystemExit(f"{len(found)} runs of {number} operations")
    return Took(submitted, ended)
