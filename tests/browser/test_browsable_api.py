"""The API in a browser: operations are started and cancelled from its forms, under the policy of the pages."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from operations.models import Operation
from tests.browser.watch import serious
from tests.factories import CapabilityFactory

pytestmark = pytest.mark.browser


def test_an_operation_is_started_read_and_cancelled_from_the_api_in_a_browser(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    CapabilityFactory()
    page.goto(f"{live_server.url}/operations")
    expect(page.get_by_role("heading", name="Operation List", level=1)).to_be_visible()
    expect(page.get_by_label("Response")).to_contain_text(ids["running"])
    assert not serious(page)

    content = page.get_by_label("POST")
    assert json.loads(content.input_value()) == {
        "operation_type": "echo",
        "parameters": {"seconds": 1.0},
        "priority": 5,
    }
    content.fill("{not json")
    page.get_by_role("button", name="POST").click()
    expect(page.get_by_label("Answer")).to_contain_text("Not sent: this is not JSON")

    content.fill(json.dumps({"operation_type": "echo", "parameters": {"seconds": 2}}))
    page.get_by_role("button", name="POST").click()
    expect(page.get_by_label("Answer")).to_contain_text("HTTP 202")
    started = Operation.objects.get(operation_type="echo")
    assert (started.parameters, started.created_by and started.created_by.username) == (
        {"seconds": 2},
        "operator",
    )

    page.get_by_role("link", name="Open what was made").click()
    expect(page.get_by_role("heading", name="Operation Detail", level=1)).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="DELETE").click()
    expect(page.get_by_label("Answer")).to_contain_text("HTTP 202")
    started.refresh_from_db()
    assert started.status == "CANCELLED"

    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/operations?limit=2")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Operation type").fill("echo")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("Response")).to_contain_text(started.pk)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
