"""A Chromium for the whole run, a page that is signed in, and a watch over what a page must never do."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from operations.models import Operation
from tests.browser.population import populate
from tests.browser.reports import backtest_report, training_report

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the thread of the test

CHROMIUM = "/usr/bin/chromium"
PASSWORD = "a-long-enough-password"


@dataclass
class Watch:
    """Collects what is wrong with a page: errors in its console (CSP violations are there), foreign requests."""

    home: str
    problems: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def on_error(self, error: Any) -> None:
        self.problems.append(f"uncaught: {error}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.problems.append(f"request to another host: {request.url}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing; apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def ids(transactional_db: None, django_user_model: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The population's operations by role; `operator` is staff. Reports come from here, not from stored files."""
    monkeypatch.setattr("operations.views.operation.load_report", _report)
    operator = django_user_model.objects.create_user("operator", password=PASSWORD, is_staff=True)
    return populate(operator)


def _report(request: Any, operation: Operation) -> dict[str, Any]:
    return backtest_report() if operation.operation_type == "backtesting" else training_report()


@pytest.fixture
def context(
    chromium: Browser, live_server: Any, ids: dict[str, str], client: Any, django_user_model: Any
) -> Iterator[BrowserContext]:
    """A browser that is signed in as `operator`."""
    client.force_login(django_user_model.objects.get(username="operator"))
    made = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
    made.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails its test for any console error, CSP violation or foreign request."""
    opened = context.new_page()
    watch = Watch(live_server.url)
    opened.on("console", watch.on_console)
    opened.on("pageerror", watch.on_error)
    opened.on("request", watch.on_request)
    yield opened
    if hasattr(request.node, "failed_call") or watch.problems:
        folder = Path("test-results")
        folder.mkdir(exist_ok=True)
        opened.screenshot(path=folder / f"{re.sub('[^a-z0-9]+', '-', request.node.name)}.png", full_page=True)
    assert not watch.problems, "\n".join(watch.problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Lets the `page` fixture know that its test failed, for the screenshot."""
    outcome: Any = yield
    if outcome.get_result().failed:
        item.failed_call = True  # type: ignore[attr-defined]  # read by the fixture


def serious(page: Page) -> list[str]:
    """axe's findings of impact serious or critical, one line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} ({one['nodes'][0]['failureSummary'][:200]})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
