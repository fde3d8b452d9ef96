"""Requirements of every page: no console errors, strict policy, no other hosts, axe, 360 px, both themes, no script,
one format of dates, drafts of long forms."""

from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page

from access.actors import Actor
from operations import sharing
from operations.labels import Labels, label
from operations.models import Operation
from tests.browser.watch import serious_findings
from tests.operations.test_dates_on_pages import other_dates
from tests.page_forms import Form, read_forms

pytestmark = pytest.mark.browser
RULES: dict[Literal["light", "dark"], tuple[str, ...]] = {
    "light": (),
    "dark": ("color-contrast", "link-in-text-block"),
}
"""All rules in one theme, and in the other one those about colors."""
MANY = 5
"""Fields that are too many to enter again."""
LONG = {
    "submit-form", "strategy-form", "study-form", "schedule-form", "seed-run-form", "labels-form", "tag-form",
}  # fmt: skip
NO_DRAFT = {"/dashboard/secrets/save": "a secret does not belong into the storage of a browser"}


def addresses(ids: dict[str, str]) -> list[str]:
    trained, backtested = ids["trained"], ids["backtested"]
    person = User.objects.filter(is_staff=True)[0]
    creator = Actor.person(person.username, person.pk)
    label(trained, Labels(tags=["trend"]), creator)
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
        f"/dashboard/operations/{backtested}",
        f"/dashboard/operations/{ids['backtested_again']}",
        f"/dashboard/operations/{backtested}/trades?trade=5&sort=-pnl",
        f"/dashboard/operations/{ids['backtested_again']}/trades?side=short",
        "/dashboard/new",
        "/dashboard/new/training",
        f"/dashboard/new/backtesting?model={trained}&symbol=GOOG",
        "/dashboard/new/data_import",
        "/dashboard/new/volatility",
        "/dashboard/runs?sort=-sharpe",
        "/dashboard/tags",
        "/dashboard/tags/trend",
        "/dashboard/workers",
        "/dashboard/workers/training-01",
        "/dashboard/market-data",
        "/dashboard/market-data/AAPL/1d",
        "/dashboard/market-data/FB/1d",
        "/dashboard/schedules",
        f"/dashboard/schedules/new?operation={trained}",
        f"/dashboard/schedules/{ids['schedule']}",
        "/dashboard/seed-runs",
        f"/dashboard/seed-runs/new?operation={trained}",
        f"/dashboard/seed-runs/{ids['seed_run']}",
        "/dashboard/strategies",
        "/dashboard/strategies/examples",
        "/dashboard/strategies/new?of=example:rsi_macd_fuzzy",
        "/dashboard/strategies/form?of=example:neuro_fuzzy_daily",
        "/dashboard/strategies/form?of=ma_cross",
        "/dashboard/strategies/ma_cross",
        "/dashboard/strategies/ma_cross/diff?from=1&to=2",
        "/dashboard/studies",
        "/dashboard/studies/new",
        f"/dashboard/studies/{ids['study']}",
        f"/dashboard/studies/{ids['study']}/trials/1",
        "/dashboard/tokens",
        "/dashboard/secrets",
        "/dashboard/users",
        "/dashboard/password",
        "/docs/",
        "/docs/?search=token",
        "/docs/strategy-grammar",
        "/dashboard/second-factor",
        "/dashboard/notifications",
        f"/dashboard/notifications/{ids['subscription']}",
        f"/shared/{sharing.share(Operation.objects.get(pk=trained), 7, creator)}",
        f"/shared/{sharing.share(Operation.objects.get(pk=backtested), 7, creator)}",
        f"/dashboard/compare?operation={trained}&operation={ids['trained_again']}",
        f"/dashboard/compare?operation={backtested}&operation={ids['backtested_again']}",
    ]


def test_pages_are_accessible_and_follow_the_policy(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    """In both themes, since the contrast differs."""
    findings = []
    for address in addresses(ids):
        page.goto(live_server.url + address)
        page.wait_for_selector("main h1")
        for theme, rules in RULES.items():
            page.emulate_media(color_scheme=theme)
            findings += [f"{address}, {theme}: {finding}" for finding in serious_findings(page, *rules)]
    assert not findings, "\n".join(findings)


def test_no_page_scrolls_horizontally_on_a_small_phone(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    wide = []
    for address in addresses(ids):
        page.goto(live_server.url + address)
        page.wait_for_selector("main h1")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide.append(f"{address}: {width} px")
    assert not wide, "\n".join(wide)


def test_pages_work_without_javascript(
    chromium: Browser, page: Page, ids: dict[str, str], live_server: Any
) -> None:
    """The same visit judges the text that the server sends: the format of dates, and the marks of long forms."""
    context = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    page_without_script = context.new_page()
    problems, long_forms = [], set()
    for address in addresses(ids):
        response = page_without_script.goto(live_server.url + address)
        assert response is not None
        assert response.status == 200
        assert page_without_script.locator("main h1").inner_text()
        text = response.text()
        problems += [f"{address}: another format of a date: {date}" for date in other_dates(text)]
        for form in filter(is_long, read_forms(text)):
            long_forms.add(form.id)
            problems += [f"{address}: {form.attributes}: {problem}" for problem in draft_problems(form, text)]
    assert not problems, "\n".join(problems)
    assert long_forms == LONG
    page_without_script.goto(f"{live_server.url}/dashboard/operations/{ids['trained']}?tab=metrics")
    page_without_script.locator("summary", has_text="Table").first.click()
    assert page_without_script.locator("figure table").first.is_visible()
    context.close()


def is_long(form: Form) -> bool:
    is_kept = form.attributes.get("action", "") not in NO_DRAFT
    return is_kept and bool(form.addresses) and (form.has_text or len(form.entries) >= MANY)


def draft_problems(form: Form, text: str) -> list[str]:
    """Return why the browser could not keep the input of a form of this page."""
    checks = {
        "no draft is kept": form.attributes.get("data-draft") in ("empty", "filled"),
        "the draft has no name": bool(form.id),
        "a query of the page would be part of the draft's name": form.attributes.get("action", "")[:1] == "/",
        "the page does not load the drafts": "js/drafts" in text,
    }
    return [problem for problem, is_met in checks.items() if not is_met]


def test_the_landing_page_is_small(page: Page, live_server: Any) -> None:
    """The limit is 500 kB compressed; the test server does not compress, so this is stricter."""
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.goto(f"{live_server.url}/dashboard/")
    page.wait_for_load_state("networkidle")
    assert sum(sizes) < 500_000
