"""Tasks of users on the pages."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from operations.models import LogLine, Operation
from studies.models import Study
from tests.browser.conftest import PASSWORD
from tests.browser.sample_operations import STRATEGY, ago
from tests.browser.watch import Watch, serious_findings

pytestmark = pytest.mark.browser


def test_progress_updates_on_the_page_and_in_its_title(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/operations/{ids['running']}")
    expect(page).to_have_title("43 % Training momentum_daily · AAPL IBM MSFT · KTRDR")
    Operation.objects.filter(pk=ids["running"]).update(
        progress={"percentage": 78, "current_step": "epoch 78 of 100"}
    )
    expect(page.get_by_text("epoch 78 of 100")).to_be_visible()
    expect(page).to_have_title("78 % Training momentum_daily · AAPL IBM MSFT · KTRDR")


def test_new_log_lines_appear_automatically(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/operations/{ids['running']}?tab=log")
    LogLine.objects.create(
        operation_id=ids["running"],
        attempt=1,
        seq=999,
        time=ago(),
        level="info",
        message="a later line",
    )
    expect(page.get_by_text("a later line")).to_be_visible()


def test_a_live_page_whose_session_ended_leads_to_the_sign_in_page_and_back(
    page: Page, watch: Watch, ids: dict[str, str], live_server: Any
) -> None:
    watch.expected = "status of 401"
    address = f"{live_server.url}/dashboard/operations/{ids['running']}"
    page.goto(address)
    page.context.clear_cookies()
    page.wait_for_url("**/dashboard/login?**")
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(address)


def test_a_lost_connection_is_shown_until_it_returns(
    page: Page, watch: Watch, ids: dict[str, str], live_server: Any
) -> None:
    watch.expected = "net::ERR_FAILED|^htmx:"
    page.goto(f"{live_server.url}/dashboard/operations/{ids['running']}")
    bar = page.get_by_text(re.compile(r"^Connection lost\. Last update \d+ s ago; retrying\.$"))
    page.route("**/live*", lambda route: route.abort())
    expect(bar).to_be_visible()
    page.unroute("**/live*")
    expect(bar).to_be_hidden()


def test_a_printed_report_contains_every_chart(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 300})
    page.goto(f"{live_server.url}/dashboard/operations/{ids['backtested']}")
    page.locator("[data-chart]").first.scroll_into_view_if_needed()
    page.locator("[data-chart][data-drawn]").first.wait_for()
    assert page.locator("[data-chart]:not([data-drawn])").count() > 0, "charts out of view are drawn later"
    page.pdf()
    assert page.locator("[data-chart]:not([data-drawn])").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 720, "height": 1000})
    cut = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((e) => e.offsetParent && e.getBoundingClientRect().right > 721)"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert not cut, "nothing is wider than the paper"
    assert page.evaluate("getComputedStyle(document.querySelector('main .card')).printColorAdjust") == "exact"


def test_the_form_shows_the_request_as_code_while_typing(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/new/training")
    page.get_by_label("Symbols (optional)").fill("AAPL NONE")
    page.get_by_text("As a curl command").click()
    expect(page.locator("#as-curl")).to_contain_text('"NONE"')


def sign_in_again(page: Page) -> None:
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your earlier draft was restored.")).to_be_visible()


def test_a_draft_survives_a_rejection_and_an_expired_session(
    page: Page, watch: Watch, ids: dict[str, str], live_server: Any
) -> None:
    watch.expected = "status of (422|401)"
    text = STRATEGY.replace("type: rsi", "type: rsx")
    page.goto(f"{live_server.url}/dashboard/new/training")
    form = page.locator("#submit-form")
    strategy, symbols = page.get_by_role("textbox", name="Strategy"), form.get_by_label("Symbols")
    stored = page.locator("#id_strategy_yaml")
    strategy.fill(text)
    symbols.fill("AAPL, NONE")
    form.get_by_role("button", name="Start training").click()
    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#problems")).to_contain_text("line 10: unknown indicator 'rsx'")
    expect(stored).to_have_value(text)
    expect(symbols).to_have_value("AAPL, NONE")

    page.context.clear_cookies(name="sessionid")
    symbols.fill("AAPL IBM")
    expect(page.get_by_text("Your session has ended.")).to_be_visible()  # said by the preview, which stays
    form.get_by_role("button", name="Start training").click()
    sign_in_again(page)
    expect(stored).to_have_value(text)
    expect(symbols).to_have_value("AAPL IBM")
    page.get_by_role("button", name="Discard draft").click()
    expect(stored).to_have_value("")


def test_a_study_and_a_strategy_as_a_form_survive_an_expired_session(
    page: Page, watch: Watch, ids: dict[str, str], live_server: Any
) -> None:
    watch.expected = "status of 401"
    page.goto(f"{live_server.url}/dashboard/studies/new?example=moving_average_search")
    page.get_by_label("Model").fill("mymodel")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Show the plan").click()
    sign_in_again(page)
    expect(page.locator("#id_study_yaml")).to_have_value(re.compile("moving_average"))
    expect(page.get_by_label("Model")).to_have_value("mymodel")
    page.get_by_role("button", name="Discard draft").click()
    expect(page.get_by_label("Model")).to_have_value("")

    page.goto(f"{live_server.url}/dashboard/strategies/form?of=ma_cross")
    change = page.get_by_label("Change")
    change.fill("slower")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Update").click()
    sign_in_again(page)
    expect(page.get_by_role("heading", name="ma_cross", exact=True)).to_be_visible()
    expect(change).to_have_value("slower")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text(re.compile("Saved as version|has this text already"))).to_be_visible()
    page.goto(f"{live_server.url}/dashboard/strategies/form")
    expect(page.get_by_role("heading", name="New strategy")).to_be_visible()


def test_operations_are_selected_and_compared(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/operations?operation_type=backtesting")
    for role in ("backtested", "backtested_again"):
        page.get_by_label(f"Select {ids[role]}").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.get_by_text("(best)").first).to_be_attached()


def test_a_study_is_extended_and_its_trial_opened(page: Page, ids: dict[str, str], live_server: Any) -> None:
    study = Study.objects.get(study_id=ids["study"])
    page.goto(f"{live_server.url}/dashboard/studies/{study.study_id}")
    page.get_by_text("Extend the study").click()
    page.get_by_role("button", name="Extend", exact=True).click()
    expect(page.get_by_text("set trials, hours or both")).to_be_visible()
    page.get_by_text("Extend the study").click()
    page.get_by_label("More trials").fill("5")
    page.get_by_label("More trials").press("Enter")
    expect(page.get_by_text("Extended.")).to_be_visible()
    expect(page.get_by_role("heading", name="Running")).to_be_visible()
    assert Study.objects.get(pk=study.pk).planned == study.planned + 5
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("heading", name="Trial 1")).to_be_visible()
    expect(page.get_by_role("button", name="Promote the trial")).to_be_enabled()


def test_the_selected_theme_is_kept(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/dashboard/")
    page.get_by_label("Display and account").click()
    page.get_by_label("Theme").select_option("dark")
    page.goto(f"{live_server.url}/dashboard/workers")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_an_enrolment_token_is_created_shown_once_and_revoked(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/tokens")
    page.get_by_label("Pool or machine").fill("gpu room")
    page.get_by_role("button", name="Create an enrolment token").click()
    expect(page.get_by_label("New token")).to_contain_text("kte_")
    assert not serious_findings(page)
    page.goto(f"{live_server.url}/dashboard/tokens")
    expect(page.get_by_text("kte_")).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke the enrolment token gpu room").click()
    expect(page.get_by_text("Token revoked.")).to_be_visible()
