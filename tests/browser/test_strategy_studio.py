"""Journeys through the strategy studio: from an idea to a submitted training, with and without script, by keyboard."""

import re
import time
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect

from operations import reports, waiting_threads, watching
from operations.models import Operation
from strategies.models import SavedStrategy
from tests.browser.watch import serious_findings
from tests.factories import WorkerFactory
from tests.operations.preview_reports import STRATEGY_RESULT
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.browser
MINUTES_ALLOWED = 3


def editor_of(page: Page) -> Locator:
    return page.get_by_role("textbox", name=re.compile("^Strategy"))


def text_of(page: Page) -> str:
    return page.locator("#id_strategy_yaml").input_value()


@pytest.mark.parametrize(
    ("address", "width", "theme"),
    [
        ("strategies/new?of=example:moving_average_cross", 1280, "light"),
        ("new/training?strategy=example:rsi_macd_fuzzy", 360, "dark"),
    ],
)
def test_a_slow_preview_appears_when_it_ends(
    page: Page, ids: dict[str, str], live_server: Any, address: str, width: int, theme: Any
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    worker = WorkerFactory(worker_type="backtesting", announced=["strategy_preview"])
    with ExitStack() as stack:
        assert all(stack.enter_context(watching.waiter()) for _ in range(waiting_threads.MOST_LONG))
        page.goto(f"{live_server.url}/dashboard/{address}")
        panel = page.locator("[data-preview]")
        expect(panel).to_contain_text("still being computed")
        with page.expect_response("**/dashboard/strategies/preview"):
            pass  # the page asks again
    operation = Operation.objects.get(operation_type="strategy_preview")
    reports.apply(
        operation.pk,
        worker.worker_id,
        Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result=STRATEGY_RESULT),
    )
    expect(panel).to_contain_text("9 entries")
    assert serious_findings(page) == []


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_from_an_idea_to_a_training_without_documentation(
    page: Page, ids: dict[str, str], live_server: Any, width: int, theme: Any
) -> None:
    """RSI and MACD as fuzzy sets: choose the example, change the idea, save, train."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    started = time.monotonic()
    page.goto(f"{live_server.url}/dashboard/strategies")
    page.get_by_role("link", name="Examples").click()
    page.locator("section", has_text="rsi_macd_fuzzy").get_by_role("link", name="Use this").click()
    editor = editor_of(page)
    expect(editor).to_contain_text("rsi_macd_fuzzy")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# RSI and MACD, my way\n")
    assert text_of(page).startswith("# RSI and MACD, my way\n")
    expect(page.locator("#preview")).to_contain_text("is valid")
    assert serious_findings(page) == []
    page.get_by_label("Name (optional)").fill("my_idea")
    page.get_by_role("button", name="Save strategy").click()
    page.get_by_role("link", name="Train this strategy").click()
    expect(editor_of(page)).to_contain_text("my way")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/dashboard/operations/*")
    assert time.monotonic() - started < MINUTES_ALLOWED * 60
    operation = Operation.objects.get(
        operation_type="training", status="PENDING", strategy_name="rsi_macd_fuzzy"
    )
    assert (
        operation.parameters["strategy_yaml"] == SavedStrategy.objects.get(name="my_idea").versions.get().text
    )


def test_completion_and_help_come_from_the_catalog(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/strategies/ma_cross")
    editor = editor_of(page)
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nindicators:\n  new: {type: boll")
    # A click, because the editor takes no key for a list that has just opened.
    page.get_by_role("option", name=re.compile("^bollinger")).first.click()
    expect(page.locator("#id_strategy_yaml")).to_have_value(re.compile(r"\{type: bollinger\w*\}*\s*$"))
    page.locator(".cm-line", has_text="crosses_above").first.locator(".expr-function").first.hover()
    expect(page.locator(".cm-tooltip-hover")).to_contain_text("crosses_above(a, b)")


def test_an_error_is_marked_at_its_line(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/strategies/ma_cross")
    editor_of(page).click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("nonsense: 1\n")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    expect(page.locator(".cm-lintRange-error")).to_contain_text("nonsense")
    page.locator("#preview a").first.click()
    expect(editor_of(page)).to_be_focused()


def test_tab_indents_and_escape_then_tab_leaves(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/strategies/new")
    expect(page.get_by_text("Tab indents; Esc, then Tab leaves.")).to_be_visible()
    editor = editor_of(page)
    editor.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    assert text_of(page).startswith("  #")
    page.keyboard.press("Shift+Tab")
    assert text_of(page).startswith("#")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()


def test_a_strategy_is_saved_by_keyboard(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/strategies/new")
    editor_of(page).focus()
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard/strategies/my_strategy")
    assert SavedStrategy.objects.get(name="my_strategy").versions.count() == 1


def test_strategies_are_written_and_previewed_without_script(
    chromium: Browser, page: Page, ids: dict[str, str], live_server: Any
) -> None:
    context = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{live_server.url}/dashboard/strategies/ma_cross")
    box = plain.locator("#id_strategy_yaml")
    box.fill(box.input_value().replace("period: 20", "period: 25"))
    plain.get_by_role("button", name="Show the preview").click()
    assert "No worker is free" in plain.locator("main").inner_text()
    plain.goto(f"{live_server.url}/dashboard/strategies/ma_cross")
    box.fill(f"# plain\n{box.input_value()}")
    plain.get_by_role("button", name="Save as a new version").click()
    assert "Saved as version 3." in plain.locator("main").inner_text()
    context.close()


@pytest.mark.parametrize("has_script", [True, False])
def test_a_strategy_is_changed_as_a_form_with_and_without_script(
    chromium: Browser, page: Page, ids: dict[str, str], live_server: Any, has_script: bool
) -> None:
    """From the editor to the form and back: one value, one new indicator, and an error beside its field."""
    context = chromium.new_context(
        java_script_enabled=has_script,
        storage_state=page.context.storage_state(),
        viewport={"width": 360, "height": 800},
    )
    form = context.new_page()
    form.goto(f"{live_server.url}/dashboard/strategies/ma_cross")
    before = text_of(form).replace("\r\n", "\n")
    form.get_by_role("button", name="Edit as a form").click()
    fast = form.get_by_role("group", name="fast")
    fast.get_by_label("Period").fill("1")
    fast.get_by_label("Period").press("Tab")
    if has_script:
        expect(form.get_by_label("Check")).to_contain_text("at least 2")
    form.get_by_role("button", name="Update").click()
    expect(fast).to_contain_text("at least 2")
    fast.get_by_label("Period").fill("12")
    form.locator("summary", has_text="Add indicator").click()
    adder = form.get_by_role("group", name="Add indicator")
    adder.get_by_label("Name").fill("strength")
    adder.get_by_label("Indicator").select_option("rsi")
    adder.get_by_role("button", name="Add indicator").click()
    expect(form.get_by_role("group", name="strength")).to_contain_text("Relative strength index")
    form.get_by_role("group", name="strength").get_by_role("button", name="Remove").click()
    expect(form.get_by_role("group", name="strength")).to_have_count(0)
    save = form.get_by_role("button", name="Save as a new version")
    form.locator("fieldset, .field").last.scroll_into_view_if_needed()
    expect(save).to_be_in_viewport()
    save.click()
    form.wait_for_url("**/dashboard/strategies/ma_cross")
    assert text_of(form).replace("\r\n", "\n") == before.replace("period: 20", "period: 12")
    context.close()


@pytest.mark.parametrize(
    ("address", "has_editor"),
    [("strategies/ma_cross", True), ("new/training", True), ("studies/new", True), ("strategies", False)],
)
def test_a_first_visit_stays_below_700_kb_and_only_editors_load_the_editor(
    page: Page, ids: dict[str, str], live_server: Any, address: str, has_editor: bool
) -> None:
    """Without compression, which the test server does not do."""
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(f"{live_server.url}/dashboard/{address}")
    page.wait_for_load_state("networkidle")
    sizes = {response.url: len(response.body()) for response in responses}
    assert any("codemirror" in url for url in sizes) is has_editor
    assert sum(sizes.values()) < 700_000
