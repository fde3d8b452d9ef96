"""A Chromium, and a watch over what a page must never do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
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
def launched() -> Iterator[Browser]:
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
    """Collects what is wrong with a page: errors in its console (CSP violations are there), foreign requests."""

    home: str
    refused: bool = False
    """A form was to be refused: Chromium notes every answer of 422 as an error."""
    problems: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("console", self.on_console)
        page.on("pageerror", self.on_error)
        page.on("request", self.on_request)

    def on_console(self, message: ConsoleMessage) -> None:
        if self.refused and "status of 422" in message.text:
            return
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def on_error(self, error: Any) -> None:
        self.problems.append(f"uncaught: {error}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.problems.append(f"request to another host: {request.url}")


def set_timeout(context: BrowserContext, seconds: float) -> None:
    """Wait so long for an element and for an expectation, in seconds of an idle machine."""
    milliseconds = 1000 * stretched(seconds)
    context.set_default_timeout(milliseconds)
    expect.set_options(timeout=milliseconds)


@contextmanager
def watched(
    context: BrowserContext, watch: Watch, test: pytest.Item, timeout_s: float = 30
) -> Iterator[Page]:
    """A page that fails its test for whatever `watch` collects. A failed test leaves a screenshot of it."""
    set_timeout(context, timeout_s)
    page = context.new_page()
    watch.over(page)
    yield page
    if hasattr(test, "failed_call") or watch.problems:
        SCREENSHOTS.mkdir(exist_ok=True)
        name = re.sub("[^a-z0-9]+", "-", test.name)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Imported by a conftest, it lets `watched` know that its test failed."""
    outcome: Any = yield
    if outcome.get_result().failed:
        item.failed_call = True  # type: ignore[attr-defined]  # read by `watched`


def serious(page: Page) -> list[str]:
    """axe's findings of impact serious or critical, one line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} ({one['nodes'][0]['failureSummary'][:200]})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
