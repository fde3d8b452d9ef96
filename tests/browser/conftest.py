"""Chromium for the test session, and a signed-in page that fails on errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.population import populate
from tests.browser.watch import Watch, launch_chromium, open_page
from tests.browser.watch import pytest_runtest_makereport as pytest_runtest_makereport

PASSWORD = "a-long-enough-password"


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, launch_chromium() as browser:
        # Playwright runs its event loop in this thread, where the fixtures use the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture
def ids(transactional_db: None, django_user_model: Any) -> dict[str, str]:
    """Ids of the sample operations by role; `operator` is staff."""
    return populate(django_user_model.objects.create_user("operator", password=PASSWORD, is_staff=True))


@pytest.fixture
def context(
    chromium: Browser, live_server: Any, ids: dict[str, str], client: Any, django_user_model: Any
) -> Iterator[BrowserContext]:
    """A browser context signed in as `operator`."""
    client.force_login(django_user_model.objects.get(username="operator"))
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
    context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    yield context
    context.close()


@pytest.fixture
def watch(live_server: Any) -> Watch:
    return Watch(live_server.url)


@pytest.fixture
def page(context: BrowserContext, watch: Watch, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails its test on any console error, CSP violation or request to another host."""
    with open_page(context, watch, request.node) as page:
        yield page
