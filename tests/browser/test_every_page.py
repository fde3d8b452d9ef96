"""What must hold on every page: quiet console, strict policy, no other host, axe, 360 px, both themes."""

from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.watch import serious

pytestmark = pytest.mark.browser
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def addresses(ids: dict[str, str]) -> list[str]:
    trained, backtested = ids["trained"], ids["backtested"]
    return [
        "/dashboard/",
        "/dashboard/operations",
        "/dashboard/operations?status=FAILED&search=momentum",
        f"/dashboard/operations/{ids['running']}",
        f"/dashboard/operations/{ids['running']}?tab=metrics",
        f"/dashboard/operations/{ids['running']}?tab=log",
        f"/dashboard/operations/{ids['failed']}",
        f"/dashboard/operations/{trained}",
        f"/dashboard/operations/{trained}?tab=parameters",
        f"/dashboard/operations/{trained}?tab=events",
        f"/dashboard/operations/{trained}?tab=artifacts",
        f"/dashboard/operations/{trained}?tab=report",
        f"/dashboard/operations/{backtested}",
        f"/dashboard/operations/{backtested}?tab=report",
        "/dashboard/new",
        "/dashboard/new/training",
        f"/dashboard/new/backtesting?model={trained}&symbol=GOOG",
        "/dashboard/new/data_import",
        "/dashboard/workers",
        "/dashboard/workers/training-01",
        "/dashboard/market-data",
        "/dashboard/market-data/AAPL/1d",
        "/dashboard/strategies",
        "/dashboard/tokens",
        "/dashboard/notifications",
        f"/dashboard/notifications/{ids['subscription']}",
        f"/dashboard/compare?operation={trained}&operation={ids['trained_again']}",
        f"/dashboard/compare?operation={backtested}&operation={ids['backtested_again']}",
    ]


def test_pages_are_accessible_and_keep_the_policy(page: Page, ids: dict[str, str], live_server: Any) -> None:
    """In both themes: the contrast is another."""
    findings = []
    for address in addresses(ids):
        page.goto(live_server.url + address)
        page.wait_for_selector("main h1")
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            findings += [f"{address}, {theme}: {finding}" for finding in serious(page)]
    assert not findings, "\n".join(findings)


def test_no_page_scrolls_sideways_on_a_small_phone(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    wide = []
    for address in addresses(ids):
        page.goto(live_server.url + address)
        page.wait_for_selector("main h1")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide.append(f"{address}: {width} px")
    assert not wide, "\n".join(wide)


def test_the_content_is_there_without_a_script(
    chromium: Browser, page: Page, ids: dict[str, str], live_server: Any
) -> None:
    plain = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    without = plain.new_page()
    for address in addresses(ids):
        answer = without.goto(live_server.url + address)
        assert answer is not None
        assert answer.status == 200
        assert without.locator("main h1").inner_text()
    without.goto(f"{live_server.url}/dashboard/operations/{ids['trained']}?tab=metrics")
    without.locator("summary", has_text="Table").first.click()
    assert without.locator("figure table").first.is_visible()
    plain.close()


def test_the_landing_page_is_light(page: Page, live_server: Any) -> None:
    """500 kB compressed is the most; the test server does not compress, so this is the harder bound."""
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.goto(f"{live_server.url}/dashboard/")
    page.wait_for_load_state("networkidle")
    assert sum(sizes) < 500_000
