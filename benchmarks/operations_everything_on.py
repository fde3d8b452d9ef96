"""The cost of having everything on: the throughput of dispatch, and processor time, against everything that can be off.

Two systems (`manage.py up`, default clocks) take turns in one run. On: JSON logs, KTRDR_HTTPS, TLS to workers under a
private CA, a trace from every caller, /metrics scraped each second, a webhook for every operation that ends. Off: none
of it. API tokens and their limits cannot be off; both have them. Target: at least 0.9 of the throughput. Processor time
is that of the system with its database, less what it uses idle, without the stub workers; until the last webhook has
arrived it counts for those. It says more than the throughput where something else keeps the cores busy.
"""

import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks._figures import print_figure
from benchmarks._noops import client, stubs, through
from benchmarks._system import ROOT, System, processor_s, running
from tests.faults.certificates import Certificates
from worker_agent.testing import StubWorker

ROUNDS = 7
OPERATIONS = 100
WORKERS = 10
SCRAPE_EVERY_S = 1.0
IDLE_S = 6.0
ARRIVE_WITHIN_S = 60.0
SUBSCRIBE = """
from operations.models import Subscription
Subscription.objects.create(name="bench", channel="webhook", target="{url}", kinds=["operation.completed"])
"""


@dataclass
class Side:
    system: System
    http: aiohttp.ClientSession
    workers: list[StubWorker]
    is_on: bool
    arrived: list[str] = field(default_factory=list)
    """Webhooks."""
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Seconds of processor time an operation."""
    idle: float = 0.0
    """Cores."""

    async def rest(self) -> None:
        """Learns what the system uses while it does nothing."""
        used = processor_s(self.system)
        await asyncio.sleep(IDLE_S)
        self.idle = (processor_s(self.system) - used) / IDLE_S

    async def round(self) -> None:
        told, used, begun = len(self.arrived), processor_s(self.system), time.perf_counter()
        scraping = asyncio.create_task(self._scrape()) if self.is_on else None
        took = await through(self.workers, self.http, OPERATIONS)
        if scraping is not None:
            scraping.cancel()
            await self._until_arrived(told + OPERATIONS)
        used = processor_s(self.system) - used - self.idle * (time.perf_counter() - begun)
        self.rates.append(OPERATIONS / took.ended_s)
        self.costs.append(used / OPERATIONS)

    async def _until_arrived(self, number: int) -> None:
        async with asyncio.timeout(ARRIVE_WITHIN_S):
            while len(self.arrived) < number:
                await asyncio.sleep(0.05)

    async def _scrape(self) -> None:
        while True:
            async with self.http.get("/metrics") as response:
                response.raise_for_status()
                await response.read()
            await asyncio.sleep(SCRAPE_EVERY_S)


@asynccontextmanager
async def receiver(arrived: list[str]) -> AsyncIterator[str]:
    """The address of a receiver of webhooks."""

    async def take(request: web.Request) -> web.Response:
        arrived.append(request.headers["webhook-id"])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def start_trace(
    http: aiohttp.ClientSession, context: object, request: aiohttp.TraceRequestStartParams
) -> None:
    request.headers["X-Request-ID"] = secrets.token_hex(16)
    request.headers["traceparent"] = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


async def begin(stack: AsyncExitStack, certificates: Certificates | None) -> Side:
    """With certificates, everything else is on as well."""
    variables: dict[str, str] = {}
    if certificates is not None:
        variables = {
            "KTRDR_WORKER_CA": str(certificates.authority),
            "KTRDR_LOG_FORMAT": "json",
            "KTRDR_HTTPS": "on",
            "KTRDR_HOOK_NETWORKS": "127.0.0.0/8",
        }
    system = stack.enter_context(running(**variables))
    traces = aiohttp.TraceConfig()
    if certificates is not None:
        traces.on_request_start.append(start_trace)
    http = await stack.enter_async_context(client(system, [traces]))
    serving = certificates.serving if certificates is not None else None
    workers = await stack.enter_async_context(stubs(system, WORKERS, serving))
    side = Side(system, http, workers, certificates is not None)
    if side.is_on:
        url = await stack.enter_async_context(receiver(side.arrived))
        await asyncio.to_thread(subscribe, system, url, variables)
    return side


def subscribe(system: System, url: str, variables: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", SUBSCRIBE.format(url=url)],
        cwd=ROOT,
        env={**os.environ, **variables, "KTRDR_DATA_DIR": str(system.data)},
        check=True,
    )


async def main() -> None:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ktrdr-bench-")))
        off, on = await begin(stack, None), await begin(stack, Certificates(directory))
        for side in (off, on):
            await side.round()  # loads what the first request of each process loads
            side.rates.clear()
            side.costs.clear()
            await side.rest()
        for number in range(ROUNDS):
            for side in (off, on) if number % 2 else (on, off):
                await side.round()
    kept = statistics.median(one / other for one, other in zip(on.rates, off.rates, strict=True))
    for side, name in ((off, "off"), (on, "on")):
        print_figure(f"no-ops end to end, everything {name}", statistics.median(side.rates), "1/s")
        print_figure(
            f"processor time of a no-op, everything {name}", 1000 * statistics.median(side.costs), "ms"
        )
    print_figure("throughput kept with everything on", kept, "of 1")


if __name__ == "__main__":
    asyncio.run(main())
