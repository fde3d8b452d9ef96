"""The chart of market data, by mouse, by keyboard and with another symbol."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.watch import serious_findings

pytestmark = pytest.mark.browser


def open_chart(page: Page, address: str) -> Locator:
    page.goto(address)
    page.locator("[data-bars][data-drawn]").wait_for()
    return page.locator("[data-bars]")


def test_a_chart_is_read_by_keyboard_alone(page: Page, ids: dict[str, str], live_server: Any) -> None:
    figure = open_chart(page, f"{live_server.url}/dashboard/market-data/AAPL/1d")
    shown, bar = figure.locator("[data-bars-range]"), figure.locator("[data-bars-bar]")
    expect(shown).to_contain_text("1m bars, 2026-01-08 23:50 to 2026-01-09 03:59")
    plot = page.get_by_role("application", name="Chart: AAPL")
    page.get_by_role("button", name="Latest").focus()
    page.keyboard.press("Tab")
    expect(plot).to_be_focused()
    page.keyboard.press("0")
    expect(shown).to_contain_text("15m bars, 2026-01-05 00:00 to 2026-01-09 03:45, 399 of 399")
    for _ in range(6):
        page.keyboard.press("ArrowUp")
    expect(shown).to_contain_text("1m bars")
    page.keyboard.press("Home")
    expect(shown).to_contain_text("2026-01-05 00:00 to")
    page.keyboard.press("ArrowRight")
    expect(bar).to_contain_text(": open ")
    selected = bar.inner_text()
    page.keyboard.press("ArrowRight")
    expect(bar).not_to_have_text(selected)
    page.keyboard.press("End")
    expect(shown).to_contain_text("to 2026-01-09 03:59")


def test_a_listed_gap_is_shown_in_the_chart(page: Page, ids: dict[str, str], live_server: Any) -> None:
    figure = open_chart(page, f"{live_server.url}/dashboard/market-data/AAPL/1d")
    page.get_by_role("link", name="2026-01-07 19:10").click()
    expect(figure.locator("[data-bars-bar]")).to_contain_text("2026-01-07 19:10: open ")
    expect(figure).to_be_in_viewport()
    figure.get_by_label("Resolution").select_option("1h")
    expect(figure.locator("[data-bars-range]")).to_contain_text("1h bars")


def test_two_symbols_are_compared_on_a_phone(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/dashboard/market-data/AAPL/1d")
    page.get_by_label("Compare with").select_option("IBM")
    page.get_by_role("button", name="Compare").click()
    page.locator("[data-bars][data-drawn]").wait_for()
    assert page.evaluate("document.querySelector('[data-bars]').barChart.overlayFile.index.name") == "IBM"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert not serious_findings(page)
