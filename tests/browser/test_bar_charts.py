"""The chart of market data, by mouse, by keyboard and with another symbol."""

import gzip
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, Route, expect

from tests.browser.watch import serious_findings

pytestmark = pytest.mark.browser


def open_chart(page: Page, address: str) -> Locator:
    page.goto(address)
    page.locator("[data-bars][data-drawn]").wait_for()
    return page.locator("[data-bars]")


def test_a_chart_is_read_by_keyboard_alone(page: Page, ids: dict[str, str], live_server: Any) -> None:
    figure = open_chart(page, f"{live_server.url}/dashboard/market-data/AAPL/1d")
    shown, bar = figure.locator("[data-bars-range]"), figure.locator("[data-bars-bar]")
    expect(shown).to_contain_text("to 2026-01-09 03:59, 229 of 5 970")
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


def test_keys_and_a_change_of_theme_before_the_first_bars_are_no_error(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    waiting: list[Route] = []
    page.route("**/chart", lambda route: waiting.append(route))
    with page.expect_request("**/chart"):
        page.goto(f"{live_server.url}/dashboard/market-data/AAPL/1d")
    page.get_by_label("Resolution").select_option("1h")
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("application").press("ArrowRight")
    while waiting:
        waiting.pop().continue_()
    page.unroute("**/chart")
    page.locator("[data-bars][data-drawn]").wait_for()


def test_pans_and_zooms_show_bars_that_were_loaded_ahead(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    """The server answers no request during the moves."""
    figure = open_chart(page, f"{live_server.url}/dashboard/market-data/AAPL/1d")
    page.wait_for_load_state("networkidle")
    page.route("**/chart", lambda route: None)
    shown, plot = figure.locator("[data-bars-range]"), page.get_by_role("application")
    plot.focus()
    for _ in range(12):
        plot.press("Shift+ArrowLeft")
    expect(shown).to_contain_text("1m bars")
    expect(shown).not_to_contain_text("2026-01-09")
    plot.press("ArrowDown")
    plot.press("ArrowDown")
    expect(shown).to_contain_text("5m bars")
    page.unroute_all(behavior="ignoreErrors")


def test_two_symbols_are_compared_on_a_phone(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/dashboard/market-data/AAPL/1d")
    page.get_by_label("Compare with").select_option("IBM")
    page.get_by_role("button", name="Compare").click()
    page.locator("[data-bars][data-drawn]").wait_for()
    assert page.evaluate("document.querySelector('[data-bars]').barChart.overlayFile.index.name") == "IBM"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert not serious_findings(page)


def test_the_worst_trade_is_two_clicks_from_the_report(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/operations/{ids['backtested']}")
    figure = page.locator("[data-bars][data-drawn]")
    figure.wait_for()
    page.get_by_role("link", name="Worst trade").click()
    bar, shown = figure.locator("[data-bars-bar]"), figure.locator("[data-bars-range]")
    expect(bar).to_contain_text("P&L −")
    expect(figure).to_be_in_viewport()
    # The trade lasts 9 bars, with 20 around it.
    expect(shown).to_contain_text("1d bars")
    expect(shown).to_contain_text("51 of 800")
    text = bar.inner_text()
    page.keyboard.press("n")
    expect(bar).not_to_have_text(text)
    page.keyboard.press("p")
    expect(bar).to_have_text(text)


def test_the_profit_of_each_trade_stays_in_view_on_a_phone(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/dashboard/operations/{ids['backtested']}/trades")
    for kept in (page.get_by_role("columnheader", name="P&L"), page.locator("#trades td.cell-kept").first):
        kept.scroll_into_view_if_needed()
        box = kept.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 360
    assert page.locator("#trades .table-wrap").evaluate("wrap => wrap.scrollLeft") == 0


def test_trades_are_sorted_and_filtered_by_keyboard_without_another_page(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    address = f"{live_server.url}/dashboard/operations/{ids['backtested']}"
    page.goto(address)
    page.locator("[data-bars][data-drawn]").wait_for()
    trades = page.locator("#trades")
    trades.get_by_role("link", name="P&L").focus()
    page.keyboard.press("Enter")
    expect(trades.locator("th[aria-sort='ascending']")).to_have_text("P&L")
    page.get_by_role("link", name="Monday").focus()
    page.keyboard.press("Enter")
    expect(trades.get_by_label("Entry weekday")).to_have_value("Monday")
    trades.get_by_label("Side").select_option("short")
    trades.get_by_role("button", name="Filter").click()
    expect(trades.get_by_role("link", name="Clear")).to_be_visible()
    assert page.url == address


def test_the_page_of_trades_works_without_script(page: Page, ids: dict[str, str], live_server: Any) -> None:
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{live_server.url}/dashboard/operations/{ids['backtested']}")
    plain.locator("#trades").get_by_role("link", name="P&L").click()
    assert "/trades?sort=pnl" in plain.url
    plain.get_by_label("Result").select_option("lost")
    plain.get_by_role("button", name="Filter").click()
    expect(plain.locator("#trades tbody tr").first).to_contain_text("−")
    context.close()


def test_the_heaviest_pages_are_light_on_a_first_visit(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    """The product sends static files compressed; the server of the tests does not."""
    sizes: list[int] = []

    def weigh(response: Response) -> None:
        body = response.body()
        sizes.append(len(gzip.compress(body)) if "/static/" in response.url else len(body))

    page.on("response", weigh)
    for address, most in (
        (f"operations/{ids['backtested']}", 700_000),
        (f"operations/{ids['backtested']}/trades", 400_000),
        ("market-data/AAPL/1d", 400_000),
        ("", 80_000),
    ):
        page.goto(f"{live_server.url}/dashboard/{address}")
        page.wait_for_load_state("networkidle")
        assert 0 < sum(sizes) < most, f"{address}: {sum(sizes)}"
        sizes.clear()
