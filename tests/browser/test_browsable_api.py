"""The browsable API: operations are started and cancelled from its forms, under the content security policy."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from operations.models import Operation
from tests.browser.watch import serious_findings
from tests.factories import CapabilityFactory

pytestmark = pytest.mark.browser


def test_an_operation_is_started_and_cancelled_from_the_browsable_api(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    CapabilityFactory()
    page.goto(f"{live_server.url}/operations")
    expect(page.get_by_role("heading", name="Operation List", level=1)).to_be_visible()
    expect(page.get_by_label("Response", exact=True)).to_contain_text(ids["running"])
    assert not serious_findings(page)

    content = page.get_by_label("POST")
    assert json.loads(content.input_value()) == {
        "operation_type": "echo",
        "parameters": {"seconds": 1.0},
        "priority": 5,
    }
    content.fill("{not json")
    page.get_by_role("button", name="POST").click()
    expect(page.get_by_label("Response to the request")).to_contain_text(
        "Not sent: the text is not valid JSON"
    )

    content.fill(json.dumps({"operation_type": "echo", "parameters": {"seconds": 2}}))
    page.get_by_role("button", name="POST").click()
    expect(page.get_by_label("Response to the request")).to_contain_text("HTTP 202")
    started = Operation.objects.get(operation_type="echo")
    assert (started.parameters, started.created_by and started.created_by.username) == (
        {"seconds": 2},
        "operator",
    )

    page.get_by_role("link", name="Open the new resource").click()
    expect(page.get_by_role("heading", name="Operation Detail", level=1)).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="DELETE").click()
    expect(page.get_by_label("Response to the request")).to_contain_text("HTTP 202")
    started.refresh_from_db()
    assert started.status == "CANCELLED"

    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/operations?limit=2")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Operation type").fill("echo")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_label("Response", exact=True)).to_contain_text(started.pk)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
