"""Common work in a browser against the running product; no test writes rows here."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.watch import Watch, launch_chromium, open_page, set_timeout
from tests.stack.system import Up

pytestmark = [pytest.mark.stack, pytest.mark.browser]

SOON_S = 30
"""For a short operation of a worker."""
BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(
    f"2024-01-{day:02},{day},{day + 1},{day - 1},{day},100\n" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)
)


@pytest.fixture(scope="module")
def context(system: Up) -> Iterator[BrowserContext]:
    """A browser signed in as the first user, through the sign-in page. It ends with this module, since no test of
    `async def` can run beside its event loop."""
    with launch_chromium() as browser:
        signed_in = browser.new_context(base_url=system.url, viewport={"width": 1280, "height": 900})
        set_timeout(signed_in, SOON_S)
        page = signed_in.new_page()
        page.goto("/")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill((system.data_dir / "admin-password").read_text().strip())
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.close()
        yield signed_in
        signed_in.close()


@pytest.fixture
def page(context: BrowserContext, system: Up, request: pytest.FixtureRequest) -> Iterator[Page]:
    with open_page(context, Watch(system.url), request.node, SOON_S) as opened:
        opened.on("dialog", lambda dialog: dialog.accept())
        yield opened


def completed_operation(system: Up, kind: str) -> str:
    """Return the id of the demo's operation of that kind."""
    operations = system.get(f"/operations?operation_type={kind}&status=COMPLETED")["results"]
    return str(operations[-1]["operation_id"])


def status(page: Page) -> Locator:
    return page.locator("#live .page-head .status").first


def open_second_browser(context: BrowserContext) -> BrowserContext:
    """Sign the same person in to another browser, whose clock can be stopped."""
    assert context.browser
    other = context.browser.new_context(storage_state=context.storage_state())
    other.clock.install(time=datetime(2030, 1, 1, tzinfo=UTC))
    return other


def form(page: Page) -> Locator:
    return page.locator("#submit-form")


def test_a_training_is_submitted_watched_and_cancelled(page: Page, system: Up) -> None:
    page.goto("/dashboard/new/training")
    page.get_by_label("Start from an example").select_option("example:neuro_fuzzy_daily")
    expect(page.locator("#preview")).to_contain_text("neuro_fuzzy_daily is valid")
    editor = page.get_by_role("textbox", name="Strategy")
    text = page.locator("#id_strategy_yaml").input_value()
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(re.sub(r"(epochs|patience): \d+", r"\1: 2000", text))
    form(page).get_by_label("Symbols").fill("AAPL IBM")
    page.get_by_role("button", name="Start training").click()

    expect(page).to_have_title(re.compile(r"^\d+ % Training neuro_fuzzy_daily · AAPL IBM"))
    step = page.get_by_text(re.compile(r"^epoch \d+"))
    expect(step).not_to_have_text(step.inner_text())
    page.goto(f"{page.url}?tab=metrics")
    page.locator("[data-chart='metric-loss'][data-drawn]").wait_for()

    stopped = open_second_browser(page.context)
    # No timer runs in it, so the page never updates. Paused before the page opens, since due timers still run.
    stopped.clock.pause_at(datetime(2030, 1, 2, tzinfo=UTC))
    left_open = stopped.new_page()
    left_open.goto(page.url)
    expect(status(left_open)).to_have_text("Running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancellation requested.")).to_be_visible()
    expect(status(page)).to_have_text("Cancelled")

    left_open.on("dialog", lambda dialog: dialog.accept())
    expect(status(left_open)).to_have_text("Running")
    left_open.get_by_role("button", name="Cancel").click()
    expect(left_open.locator(".note-error")).to_contain_text("CANCELLED")
    expect(status(left_open)).to_have_text("Cancelled")
    stopped.close()


def test_a_preview_follows_the_keyboard_and_waits_for_a_worker(page: Page, system: Up) -> None:
    page.goto("/dashboard/strategies/new?of=example:moving_average_cross")
    preview = page.locator("[data-preview]")
    expect(preview.locator("svg").first).to_be_visible()
    editor = page.get_by_role("textbox", name=re.compile("^Strategy"))
    for period in ("33", "44"):
        text = page.locator("#id_strategy_yaml").input_value()
        editor.click()
        page.keyboard.press("Control+A")
        with page.expect_response("**/strategies/preview") as answer:
            page.keyboard.insert_text(re.sub(r"period: \d+", f"period: {period}", text, count=1))
        assert answer.value.ok
        expect(preview.locator("svg").first).to_be_visible()
    (worker,) = system.get("/workers?worker_type=backtesting")["results"]
    with system.http() as api:
        api.post(f"/workers/{worker['worker_id']}/cordon", json={"reason": "a test"}).raise_for_status()
        editor.press("End")
        page.keyboard.type(" ")
        expect(preview).to_contain_text("No worker is free")
        api.post(f"/workers/{worker['worker_id']}/uncordon").raise_for_status()
    expect(preview.locator("svg").first).to_be_visible()


@pytest.mark.parametrize(
    ("kind", "example", "column"),
    [("training", "rsi_macd_fuzzy", "Labels"), ("backtesting", "moving_average_cross", "True at bars")],
)
def test_the_forms_preview_their_strategy_on_the_symbol_entered(
    page: Page, kind: str, example: str, column: str
) -> None:
    page.goto(f"/dashboard/new/{kind}")
    page.get_by_label("Start from an example").select_option(f"example:{example}")
    preview = page.locator("[data-preview]")
    expect(preview.get_by_role("columnheader", name=column)).to_be_visible()
    field = form(page).locator("[name=symbol], [name=symbols]")
    field.fill("IBM")
    field.press("Tab")
    expect(preview).to_contain_text("IBM 1d:")
    expect(preview.locator("svg").first).to_be_visible()
    assert form(page).locator("button", has_text="Start").is_enabled()


def test_a_file_is_uploaded_and_its_bars_can_be_looked_at(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(BARS)
    page.goto("/dashboard/market-data")
    page.get_by_role("link", name="Import a file").click()
    page.get_by_label("File").set_input_files(tmp_path / "bars.csv")
    form(page).get_by_label("Symbol").fill("WALK")
    form(page).get_by_label("Timeframe").select_option("1d")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Preview of WALK 1d")).to_be_visible()
    expect(page.get_by_role("region", name="First bars").get_by_role("row")).to_have_count(6)
    page.get_by_role("button", name="Import").click()
    page.get_by_role("link", name="View chart and quality").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("WALK 1d")
    expect(page.locator("dl.facts").first).to_contain_text("Bars 9")

    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("WALK 1d was deleted.")).to_be_visible()
    expect(page.get_by_role("row", name="WALK")).to_have_count(0)


def test_a_worker_is_cordoned_with_a_reason_and_works_again(page: Page, system: Up) -> None:
    worker_id = system.get("/workers?worker_type=backtesting")["results"][0]["worker_id"]
    page.goto("/dashboard/workers")
    page.get_by_role("link", name=worker_id).click()
    page.get_by_text("Cordon or drain").click()
    page.get_by_label("Reason").fill("new memory is being fitted")
    page.get_by_role("button", name="Cordon", exact=True).click()
    expect(page.get_by_text("Cordoned: new memory is being fitted")).to_be_visible()
    assert system.get(f"/workers/{worker_id}")["cordoned"] is True

    page.get_by_role("button", name="Uncordon").click()
    expect(page.get_by_text("Uncordoned: it gets new work again.")).to_be_visible()
    expect(page.get_by_role("heading", name="Events").locator("..")).to_contain_text("new memory")
    assert system.get(f"/workers/{worker_id}")["cordoned"] is False


def test_a_model_is_traded_on_another_symbol_and_compared(page: Page, system: Up) -> None:
    first = completed_operation(system, "backtesting")
    page.goto(f"/dashboard/operations/{completed_operation(system, 'training')}")
    page.get_by_role("link", name="Backtest this model").click()
    form(page).get_by_label("Symbol").fill("IBM")
    form(page).get_by_role("textbox", name="From").fill("2010-01-01")
    page.get_by_role("button", name="Start backtest").click()
    expect(page.get_by_role("heading", name="IBM against buy and hold")).to_be_visible()
    second = page.url.rsplit("/", 1)[-1].partition("?")[0]

    page.goto("/dashboard/operations?operation_type=backtesting")
    for operation_id in (first, second):
        page.get_by_label(f"Select {operation_id}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row", name="Symbol")).to_have_text(re.compile("IBM.*GOOG|GOOG.*IBM", re.DOTALL))
    expect(page.get_by_text("(best)").first).to_be_attached()
    read_every_chart(page)
    expect(page.get_by_role("heading", name="Equity")).to_be_visible()


@pytest.mark.parametrize("kind", ["training", "backtesting"])
def test_a_report_is_read(page: Page, system: Up, kind: str) -> None:
    page.goto(f"/dashboard/operations/{completed_operation(system, kind)}")
    tabs = page.get_by_role("navigation", name="About this operation").get_by_role("link")
    for name in tabs.all_inner_texts():
        tabs.get_by_text(name, exact=True).click()
        expect(tabs.and_(page.locator("[aria-current]"))).to_have_text(name)
    tabs.get_by_text("Result", exact=True).click()
    assert read_every_chart(page) >= 3
    if kind == "backtesting":
        trades = page.locator("#trades")
        trades.get_by_role("link", name="P&L").click()
        expect(trades.locator("th[aria-sort='ascending']")).to_have_text("P&L")
        profits = [
            float(text.replace("−", "-").replace("\u202f", "")) for text in column_texts(trades, "P&L")
        ]
        assert len(profits) > 5
        assert profits == sorted(profits)
        trades.get_by_role("link", name="Show trade 2 in the chart").click()
        expect(page.get_by_text("Trade 2 of ")).to_be_visible()
        expect(page.locator("#chart")).to_be_in_viewport()


def column_texts(table: Locator, name: str) -> list[str]:
    headings = table.locator("thead th").all_inner_texts()
    position = [text.strip() for text in headings].index(name)
    return [row.locator("th, td").nth(position).inner_text() for row in table.locator("tbody tr").all()]


def read_every_chart(page: Page) -> int:
    """Scroll to each chart until it is drawn, and open the table below it; return the number of charts."""
    figures = page.locator("figure:has([data-chart])")
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        figure.locator("[data-drawn] canvas").wait_for()
        figure.locator("summary").click()
        expect(figure.locator("tbody tr").first).to_be_visible()
    return figures.count()
