"""The admin under the pages' content security policy: its scripts and styles work, and none is blocked."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _as_superuser(ids: dict[str, str], django_user_model: Any) -> None:
    django_user_model.objects.filter(username="operator").update(is_superuser=True)


def test_every_list_of_the_admin_and_one_row_of_each_opens(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/admin/")
    links = page.locator("#content-main th a")
    lists = [str(link.get_attribute("href")) for link in links.all()]
    assert {"/admin/operations/operation/", "/admin/registry/worker/"} <= set(lists)
    opened = 0
    for address in lists:
        page.goto(live_server.url + address)
        expect(page.locator("#changelist")).to_be_visible()
        row = page.locator("#result_list tbody th a").first
        if row.count():
            row.click()
            expect(page.locator("#content h1, #content h2").first).to_be_visible()
            opened += 1
    assert opened >= 4


def test_an_operation_is_cancelled_from_the_list(page: Page, ids: dict[str, str], live_server: Any) -> None:
    page.goto(f"{live_server.url}/admin/operations/operation/")
    page.locator("#searchbar").fill(ids["running"])
    page.get_by_role("button", name="Search").click()
    page.locator("#result_list .action-select").first.check()
    page.get_by_role("combobox", name="Action").select_option(label="Cancel the selected operations")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".messagelist")).to_be_visible()
    page.goto(f"{live_server.url}/dashboard/operations/{ids['running']}")
    expect(page.locator("#live .page-head .status").first).to_have_text("Cancelling")
