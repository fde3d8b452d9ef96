"""Starts Chromium, and records errors of pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.calibration import stretched

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path("test-results")


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing; apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@dataclass
class Watch:
    """Records problems of a page: console errors, which include CSP violations, and requests to other hosts."""

    home: str
    expected: str = ""
    """Pattern of the console's messages about requests that fail on purpose: `status of 422`."""
    problems: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("console", self.on_console)
        page.on("pageerror", self.on_error)
        page.on("request", self.on_request)

    def on_console(self, message: ConsoleMessage) -> None:
        if self.expected and re.search(self.expected, message.text):
            return
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def on_error(self, error: Any) -> None:
        self.problems.append(f"uncaught: {error}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.problems.append(f"request to another host: {request.url}")


def set_timeout(context: BrowserContext, seconds: float) -> None:
    """Wait so long for an element and for an expectation, in seconds of an idle machine; pages wait as long for htmx."""
    milliseconds = 1000 * stretched(seconds)
    context.set_default_timeout(milliseconds)
    expect.set_options(timeout=milliseconds)
    # htmx announces its first node when it has read the page's configuration and has not sent a request.
    context.add_init_script(
        "addEventListener('htmx:beforeProcessNode', "
        f"() => {{ htmx.config.timeout = {milliseconds:.0f} }}, {{ once: true }})"
    )


@contextmanager
def open_page(
    context: BrowserContext, watch: Watch, test: pytest.Item, timeout_s: float = 30
) -> Iterator[Page]:
    """Open a page that fails its test if `watch` records a problem. A failed test leaves a screenshot."""
    set_timeout(context, timeout_s)
    page = context.new_page()
    watch.attach(page)
    yield page
    if hasattr(test, "failed_call") or watch.problems:
        SCREENSHOTS.mkdir(exist_ok=True)
        name = re.sub("[^a-z0-9]+", "-", test.name)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Record the failure of a test for `open_page`; imported by conftest files."""
    outcome: Any = yield
    if outcome.get_result().failed:
        item.failed_call = True  # type: ignore[attr-defined]  # read by `open_page`


def serious_findings(page: Page, *rules: str) -> list[str]:
    """Return axe's findings with serious or critical impact, one line each; of all rules, or of those named."""
    # No page has sound or film, the only reason to load style sheets and media again before the rules run.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate("options => axe.run(options).then(results => results.violations)", options)
    return [
        f"{finding['id']}: {finding['nodes'][0]['html'][:160]} ({finding['nodes'][0]['failureSummary'][:200]})"
        for finding in violations
        if finding["impact"] in ("serious", "critical")
    ]
