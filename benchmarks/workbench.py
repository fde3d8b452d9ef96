"""The pages of a researcher with 10,000 runs, a study of 10,000 trials and a chart of 1,000,000 bars.

Targets: every order and filter of the runs takes 200 ms of the server, and so does the page of the study; in Chromium
the runs are usable within 1 s and the study within 1.5 s, the chart is painted within 1 s and each pan or zoom within
100 ms. The landing page weighs at most 80 kB and every other page 700 kB on a first visit.

The server's time is its processor time with that of the database: that of a machine without other work. Times in the
browser are of the wall clock; `processor` beside them has the seconds of Chromium, which uses several cores.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks import _history, _workbench_rows
from benchmarks._database import set_up_django
from benchmarks._figures import print_figure
from benchmarks._system import System, processor_of_tree_s, processor_s, running
from benchmarks.pages import session

RUNS, ROUNDS, VISITS = 10_000, 5, 5
SYMBOL = "LONG"
COMPOUND = (
    "sharpe > 0.5 and trades > 30",
    "sharpe > 0.5 and trades > 30 and tag = even",
    "not (drawdown > -10% or win_rate < 0.5)",
    "symbol = AAPL and type = backtest or title ~ 77",
)
TEXTS = {
    "tag": "even", "type": "backtest", "status": "completed", "symbol": "AAPL", "timeframe": "1d", "strategy": "neuro",
    "title": "77", "user": "admin",
}  # fmt: skip
CONTAINED = ("title", "strategy", "symbol")
PAGES = (
    "", "runs?sort=-sharpe", "operations", "operations/{backtest}", "operations/{training}", "studies/{study}",
    "compare?operation={backtest}&operation={other}", "market-data", "market-data/LONG/1m", "strategies",
    "strategies/new?of=example:rsi_macd_fuzzy", "studies/new?example=moving_average_search", "new/training",
    "new/backtest", "workers", "../docs/",
)  # fmt: skip
NOTE_USABLE = """
addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => { window.usableAt = performance.now(); })));
new MutationObserver((changes, observer) => {
  if (!document.querySelector("[data-bars][data-drawn]")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.paintedAt = performance.now(); }));
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-drawn"] });
"""
WAIT = """
(name) => new Promise((resolve) => {
  const look = () => (name in window ? resolve(window[name]) : setTimeout(look, 20));
  look();
})
"""
MOVES = """
async () => {
  const chart = document.querySelector("[data-bars]").barChart;
  const moves = [
    ...Array(8).fill(() => chart.pan(-0.5)), () => chart.zoom(2), () => chart.zoom(2), () => chart.zoom(2),
    ...Array(4).fill(() => chart.pan(-0.5)), ...Array(5).fill(() => chart.zoom(2)), () => chart.moveTo(0, chart.span),
    ...Array(8).fill(() => chart.pan(0.9)), ...Array(8).fill(() => chart.zoom(0.5)), () => chart.showAll(),
    ...Array(6).fill(() => chart.zoom(0.5)), ...Array(4).fill(() => chart.pan(0.25)),
  ];
  const taken = [];
  for (const move of moves) {
    const begun = performance.now();
    await move();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    taken.push(performance.now() - begun);
  }
  return taken;
}
"""


def main() -> None:
    with running(KTRDR_HEALTH_INTERVAL_S="3600") as system:
        set_up_django(system.data)
        from django.db import connection, connections

        known = _history.make(RUNS, 20)
        tag = _workbench_rows.label_and_measure()
        known["study"] = _workbench_rows.reported_study()
        _workbench_rows.long_chart(SYMBOL)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        cookie = session()
        connections.close_all()
        server(system, cookie, tag, known["study"])
        browser(system, cookie, known)


def server(system: System, cookie: str, tag: str, study: str) -> None:
    from operations.runs.columns import METRICS
    from operations.runs.ranking import FIELDS

    orders = [f"runs?sort={sign}{name}" for name in (*METRICS, *FIELDS) for sign in ("", "-")]
    wanted = [f"runs?sort=-sharpe&where={quote(where)}" for where in filters()]
    with httpx.Client(base_url=f"{system.url}/dashboard/", cookies={"sessionid": cookie}, timeout=60) as http:

        def report(name: str, addresses: list[str], goal: float | None = 200) -> None:
            times = {address: measure(system, http, address) for address in addresses}
            slowest = max(times, key=lambda address: times[address][0])
            used, wall = times[slowest]
            print_figure(name, used, "ms", goal=goal, wall=round(wall), page=slowest)

        report("slowest of all orders of 10,000 runs", orders)
        report("slowest of all filters of 10,000 runs", wanted)
        report("last page of 10,000 runs", ["runs?page=200&sort=-sharpe"])
        report("leaderboard of a tag of 5,000 runs", [f"tags/{tag}"])
        report("page of a study of 10,000 trials", [f"studies/{study}", f"studies/{study}?order=value"])
        report("export of 10,000 runs", ["runs.csv"], goal=None)


def filters() -> Iterator[str]:
    """Yield an expression for each name that filters know, with each kind of comparison, and some of several."""
    from operations.runs.names import NAMES

    for name in NAMES:
        if name in TEXTS:
            yield f"{name} = {TEXTS[name]}"
            yield f"{name} != {TEXTS[name]}"
        elif name in ("created", "ended"):
            yield f"{name} > 2026-01-01"
            yield f"{name} != 2026-01-01"
        else:
            yield f"{name} > 0.2"
            yield f"{name} != 0.2"
    yield from (f"{name} ~ {TEXTS[name]}" for name in CONTAINED)
    yield from COMPOUND


def measure(system: System, http: httpx.Client, address: str) -> tuple[float, float]:
    """Return processor and wall time of one response in milliseconds, after one that does not count."""
    http.get(address).raise_for_status()
    used, walls = processor_s(system), []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        http.get(address).raise_for_status()
        walls.append(time.perf_counter() - started)
    return 1000 * (processor_s(system) - used) / ROUNDS, 1000 * statistics.median(walls)


def browser(system: System, cookie: str, known: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for name, address, goal in (
            ("runs", "runs?sort=-sharpe", 1.0),
            ("study of 10,000 trials", f"studies/{known['study']}", 1.5),
        ):
            visits = [visit(chromium, system, cookie, address, usable) for _ in range(VISITS)]
            report_visits(f"{name}: usable", visits, goal)
        examine(chromium, system, cookie, f"studies/{known['study']}")
        chart(chromium, system, cookie)
        weights(chromium, system, cookie, known)
        chromium.close()


@contextmanager
def visitor(chromium: Browser, system: System, cookie: str, width: int = 1280) -> Iterator[BrowserContext]:
    """Open a context with an empty cache."""
    context = chromium.new_context(
        base_url=f"{system.url}/dashboard/", viewport={"width": width, "height": 900}
    )
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": system.url}])
    context.add_init_script(NOTE_USABLE)
    yield context
    context.close()


def visit(
    chromium: Browser, system: System, cookie: str, address: str, ready: Callable[[Page], float]
) -> tuple[float, float]:
    """Return the seconds until a first visit is ready, and those of Chromium's processors."""
    with visitor(chromium, system, cookie) as context:
        page = context.new_page()
        used = chromium_s()
        page.goto(address, wait_until="commit")
        return ready(page), chromium_s() - used


def usable(page: Page) -> float:
    """Return the seconds until the page is loaded, painted and handles events."""
    return _seconds(page, "usableAt")


def painted(page: Page) -> float:
    """Return the seconds until a chart of bars is painted."""
    return _seconds(page, "paintedAt")


def _seconds(page: Page, name: str) -> float:
    return float(page.evaluate(WAIT, name)) / 1000


def chromium_s() -> float:
    """Return the processor time of Chromium's processes so far, in seconds."""
    parents = {
        process.pid: process.ppid()
        for process in psutil.Process().children(recursive=True)
        if "chrom" in process.name()
    }
    return sum(processor_of_tree_s(pid) for pid, parent in parents.items() if parent not in parents)


def report_visits(name: str, visits: list[tuple[float, float]], goal: float) -> None:
    """Print the median, with the fastest: other work on the machine only adds."""
    times = [seconds for seconds, _ in visits]
    processor = round(min(used for _, used in visits), 3)
    print_figure(
        name, statistics.median(times), "s", goal=goal, fastest=round(min(times), 3), processor=processor
    )


def examine(chromium: Browser, system: System, cookie: str, address: str) -> None:
    """Print the findings of axe, and how much wider than a phone a page is."""
    from tests.browser.watch import serious_findings

    with visitor(chromium, system, cookie, 360) as context:
        page = context.new_page()
        page.goto(address)
        findings = serious_findings(page)
        print("\n".join(findings))
        print_figure("study of 10,000 trials: findings of axe", len(findings), "findings", goal=0)
        wider = page.evaluate("document.documentElement.scrollWidth") - 360
        print_figure("study of 10,000 trials: wider than a phone of 360 px", wider, "px", goal=0)


def chart(chromium: Browser, system: System, cookie: str) -> None:
    address = f"market-data/{SYMBOL}/1m"
    visits = [visit(chromium, system, cookie, address, painted) for _ in range(VISITS)]
    report_visits("chart of 1,000,000 bars: first paint", visits, 1.0)
    with visitor(chromium, system, cookie) as context:
        page = context.new_page()
        page.goto(address)
        painted(page)
        used = chromium_s()
        taken = page.evaluate(MOVES)
        used = chromium_s() - used
    name = "chart of 1,000,000 bars: pan or zoom"
    print_figure(name, statistics.median(taken), "ms", goal=100, processor=round(1000 * used / len(taken)))
    print_figure(f"{name}, 9 of 10", sorted(taken)[int(0.9 * len(taken))], "ms", goal=100)
    print_figure(f"{name}, slowest of {len(taken)}", max(taken), "ms", goal=100)


def weights(chromium: Browser, system: System, cookie: str, known: dict[str, str]) -> None:
    """Print what a first visit transfers, without headers."""
    sums = {address: weight(chromium, system, cookie, address.format(**known)) for address in PAGES}
    print_figure("weight of the landing page", sums.pop(""), "kB", goal=80)
    heaviest = max(sums, key=lambda address: sums[address])
    print_figure("weight of the heaviest page", sums[heaviest], "kB", goal=700, page=heaviest)


def weight(chromium: Browser, system: System, cookie: str, address: str) -> float:
    sizes: list[int] = []
    with visitor(chromium, system, cookie) as context:
        page = context.new_page()
        page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
        page.goto(address)
        page.wait_for_load_state("networkidle")
    return sum(sizes) / 1000


if __name__ == "__main__":
    main()
