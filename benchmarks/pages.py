"""The pages with 10,000 operations and 200 workers in the database, over HTTP and in headless Chromium.

Targets: each page answers within 200 ms at the 95th percentile; the landing page weighs less than 500 kB as it is
sent; a report of 5,000 bars is drawn within 1.5 s; a hundred open dashboards cost less than half a core.
"""

import asyncio
import statistics
import time
from contextlib import suppress

import httpx
import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks import _history
from benchmarks._database import set_up_django
from benchmarks._figures import print_figure
from benchmarks._system import System, running

OPERATIONS, WORKERS = 10_000, 200
ROUNDS = 30
DASHBOARDS, WATCHED_S = 100, 20.0
SHARED_FOR_S = 1.6
"""The overview is made once in this time, however many look: each of its rounds waits until it is made again."""
PAGES = {
    "overview": "",
    "operations": "operations",
    "failed operations": "operations?status=FAILED",
    "last page of the operations": "operations?page=200",
    "operations found": "operations?search=aapl",
    "running operation": "operations/{running}",
    "training": "operations/{training}",
    "training's metrics": "operations/{training}?tab=metrics",
    "training's log": "operations/{training}?tab=log",
    "backtest's report": "operations/{backtest}",
    "comparison": "compare?operation={backtest}&operation={other}",
    "workers": "workers",
    "worker": "workers/{worker}",
    "market data": "market-data",
    "strategies": "strategies",
    "strategy": "strategies/{strategy}",
    "new training": "new/training",
    "new backtest": "new/backtest",
}


def main() -> None:
    # Workers that are only rows answer no health check, and none is to be lost while the clock runs.
    with running(KTRDR_HEALTH_INTERVAL_S="3600") as system:
        set_up_django(system.data)
        from django.db import connection, connections

        known = _history.make(OPERATIONS, WORKERS)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        cookie = session()
        connections.close_all()
        answers(system, cookie, known)
        asyncio.run(dashboards(system, cookie))
        browser(system, cookie, known)


def session() -> str:
    """The session of somebody who is signed in."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username="admin"))
    return client.cookies["sessionid"].value


def answers(system: System, cookie: str, known: dict[str, str]) -> None:
    with httpx.Client(base_url=f"{system.url}/dashboard/", cookies={"sessionid": cookie}, timeout=60) as http:
        slowest = 0.0
        for name, path in PAGES.items():
            address = path.format(**known)
            http.get(address).raise_for_status()
            taken = sorted(
                answer(http, address, SHARED_FOR_S if name == "overview" else 0) for _ in range(ROUNDS)
            )
            slowest = max(slowest, taken[int(0.95 * ROUNDS)])
            print_figure(f"answer of the page: {name}, p95", taken[int(0.95 * ROUNDS)], "ms")
        print_figure("answer of the slowest page, p95", slowest, "ms")


def answer(http: httpx.Client, address: str, pause: float) -> float:
    time.sleep(pause)
    begun = time.perf_counter()
    got = http.get(address)
    taken = time.perf_counter() - begun
    if got.status_code != 200:
        raise SystemExit(f"GET {address}: {got.status_code}")
    return 1000 * taken


async def dashboards(system: System, cookie: str) -> None:
    """Each asks for the live part every two seconds and sends the ETag that it was given, as the page does."""
    processes = [psutil.Process(system.pid), *psutil.Process(system.pid).children(recursive=True)]
    processes += [one for one in psutil.process_iter(["name"]) if _is_database_of(system, one)]
    limits = httpx.Limits(max_connections=DASHBOARDS)
    async with httpx.AsyncClient(base_url=system.url, cookies={"sessionid": cookie}, limits=limits) as http:
        before, begun = cpu_seconds(processes), time.perf_counter()

        async def dashboard(number: int) -> None:
            etag = ""
            await asyncio.sleep(2 * number / DASHBOARDS)
            while time.perf_counter() - begun < WATCHED_S:
                got = await http.get("/dashboard/", headers={"HX-Request": "true", "If-None-Match": etag})
                etag = got.headers.get("ETag", etag)
                await asyncio.sleep(2)

        await asyncio.gather(*(dashboard(number) for number in range(DASHBOARDS)))
        after, seconds = cpu_seconds(processes), time.perf_counter() - begun
        used = sum(spent - before[pid] for pid, spent in after.items()) / seconds
    print_figure(f"cost of {DASHBOARDS} open dashboards", used, "cores")


def _is_database_of(system: System, process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres" and process.cwd().startswith(str(system.data))
    except psutil.Error:
        return False


def cpu_seconds(processes: list[psutil.Process]) -> dict[int, float]:
    """Of each process that is still there, so far."""
    spent = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent[process.pid] = times.user + times.system
    return spent


def browser(system: System, cookie: str, known: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        context = chromium.new_context(base_url=system.url, viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": system.url}])
        print_figure("landing page as it is sent", weight(context.new_page()), "kB")
        report = f"/dashboard/operations/{known['backtest']}"
        drawn = [until_drawn(context.new_page(), report) for _ in range(5)]
        print_figure(f"report of {_history.POINTS:,} bars is drawn and answers, first visit", drawn[0], "s")
        print_figure(
            f"report of {_history.POINTS:,} bars is drawn and answers", statistics.median(drawn), "s"
        )
        chromium.close()


def weight(page: Page) -> float:
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto("/dashboard/")
    page.wait_for_load_state("networkidle")
    page.close()
    return sum(sizes) / 1000


def until_drawn(page: Page, address: str) -> float:
    """Seconds from the navigation until the chart stands and the page does something again."""
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#linked-chart[data-drawn] canvas")
    taken: float = page.evaluate("performance.now()") / 1000
    page.close()
    return taken


if __name__ == "__main__":
    main()
