"""From a keystroke in the editor of a strategy to the painted preview, in headless Chromium with one backtesting worker.

Target: 500 ms at the median, of which the editor waits 150 ms for the next key. Each step is taken from the event that ends it.
"""

import statistics
import time
from itertools import pairwise
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from benchmarks._figures import print_figure
from benchmarks._system import ROOT, System, running

BARS, ROUNDS, WAIT_S = 6_000, 15, 30
FINAL = ("COMPLETED", "FAILED", "CANCELLED")
STEPS = ("debounce", "answer", "swap", "paint")
EXAMPLES = {"rules": "moving_average_cross", "a training": "rsi_macd_fuzzy"}
RECORD = """
() => {
  const panel = document.querySelector("[data-preview]");
  const isOurs = (event) => event.detail.elt === panel;
  const at = {};
  window.previewTimes = new Promise((resolve) => {
    document.querySelector("[name=strategy_yaml]").addEventListener("input", () => { at.key = performance.now(); }, { once: true });
    const note = (name, then) => document.addEventListener(name, function listen(event) {
      if (!isOurs(event) || !at.key) return;
      document.removeEventListener(name, listen);
      then();
    });
    note("htmx:beforeSend", () => { at.debounce = performance.now(); });
    note("htmx:beforeSwap", () => { at.answer = performance.now(); });
    note("htmx:afterSettle", () => {
      at.swap = performance.now();
      requestAnimationFrame(() => setTimeout(() => { at.paint = performance.now(); resolve(at); }));
    });
  });
}
"""


def main() -> None:
    with running("--workers", "backtesting=1") as system:
        with httpx.Client(
            base_url=system.url, headers={"Authorization": f"Bearer {system.token}"}, timeout=60
        ) as api:
            import_bars(api)
            warm_up(api)
        browser(system)


def import_bars(api: httpx.Client) -> None:
    """Import a daily series that rises and falls."""
    lines = ["Date,Open,High,Low,Close,Volume"]
    day = time.time() - BARS * 1.5 * 86_400
    for number in range(BARS):
        day += 86_400 * (3 if time.gmtime(day).tm_wday == 4 else 1)
        price = 100 + 20 * ((number % 97) / 97) + 10 * ((number % 13) / 13)
        lines.append(
            f"{time.strftime('%Y-%m-%d', time.gmtime(day))},{price},{price + 1},{price - 1},{price},1000"
        )
    files = {"file": ("bars.csv", "\n".join(lines).encode())}
    response = api.post("/market-data", data={"symbol": "AAPL", "timeframe": "1d"}, files=files)
    operation = wait_for_end(api, response)
    if operation["status"] != "COMPLETED":
        raise SystemExit(operation)


def warm_up(api: httpx.Client) -> None:
    """Let the worker load and compile what a preview needs: the first one may take longer than the page waits."""
    for example in EXAMPLES.values():
        text = (ROOT / "examples" / "strategies" / f"{example}.yaml").read_text()
        while (response := preview(api, text)).status_code != httpx.codes.OK:
            if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(0.5)  # a worker whose job has just ended is not available yet
            else:
                wait_for_end(api, response)


def preview(api: httpx.Client, strategy: str) -> httpx.Response:
    return api.post("/strategies/preview", json={"strategy_yaml": strategy})


def wait_for_end(api: httpx.Client, submitted: httpx.Response) -> dict[str, Any]:
    """Return the submitted operation in its final state."""
    submitted.raise_for_status()
    while True:
        response = api.get(submitted.json()["url"], params={"wait": WAIT_S}).raise_for_status()
        operation: dict[str, Any] = response.json()
        if operation["status"] in FINAL:
            return operation


def browser(system: System) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = chromium.new_page(base_url=system.url)
        page.goto("/")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill((system.data / "admin-password").read_text().strip())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("h1")
        for kind, example in EXAMPLES.items():
            page.goto(f"/dashboard/strategies/new?of=example:{example}")
            page.wait_for_selector("[data-preview] svg")
            report(kind, [type_character(page) for _ in range(ROUNDS)])
        chromium.close()


def type_character(page: Page) -> dict[str, Any]:
    """Type one character into a comment at the end, and return the times of the events in milliseconds."""
    page.evaluate(RECORD)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("#")
    times: dict[str, Any] = page.evaluate("window.previewTimes")
    return times


def report(kind: str, rounds: list[dict[str, Any]]) -> None:
    totals = sorted(times["paint"] - times["key"] for times in rounds)
    print_figure(f"preview of {kind}: from key to paint", statistics.median(totals), "ms")
    print_figure(f"preview of {kind}: from key to paint, slowest of {len(rounds)}", totals[-1], "ms")
    for before, step in pairwise(("key", *STEPS)):
        print_figure(
            f"preview of {kind}: {step}",
            statistics.median(times[step] - times[before] for times in rounds),
            "ms",
        )


if __name__ == "__main__":
    main()
