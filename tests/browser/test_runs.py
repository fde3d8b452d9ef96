"""The journey of a researcher: the best of 30 runs, and what follows from it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from operations.models import Operation, RunMetrics
from tests.browser.watch import serious_findings
from tests.factories import OperationFactory

pytestmark = pytest.mark.browser
BEST = "Run 17"


@pytest.fixture
def runs(ids: dict[str, str]) -> None:
    """Thirty backtests; the one with the highest Sharpe ratio has too few trades."""
    rows = [
        OperationFactory(
            operation_type="backtesting", status="COMPLETED", completed_at="2026-01-01T00:00Z", title=f"Run {number}",
            parameters={"symbol": "EURUSD"},
        )
        for number in range(30)
    ]  # fmt: skip
    RunMetrics.objects.bulk_create(
        RunMetrics(
            operation=row, sharpe=3.0 if number == 3 else 2.0 if number == 17 else number / 100, total_return=0.1,
            trades=12 if number == 3 else 40, settings={"seed": number, "strategy.training.epochs": 10 * (number % 3)},
            curve=[1 + point * number / 1000 for point in range(40)],
        )
        for number, row in enumerate(rows)
    )  # fmt: skip


@pytest.mark.usefixtures("runs")
def test_the_best_of_30_runs_with_more_than_30_trades_is_two_clicks_away(
    page: Page, live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Best Sharpe, over 30 trades").click()
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows.first).to_contain_text(BEST)
    assert not serious_findings(page)

    # Both are kept over the page of the comparison and back.
    for row in (rows.nth(0), rows.nth(1)):
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    assert not serious_findings(page)
    page.go_back()
    expect(rows.nth(0).get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_text("2 selected")).to_be_visible()

    page.get_by_label("Tag", exact=True).fill("Shortlist")
    page.get_by_role("button", name="Add tag").click()
    expect(rows.first.get_by_role("link", name="shortlist")).to_be_visible()
    page.get_by_role("textbox", name="Filter").fill("tag = shortlist and sharp > 1")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Unknown name 'sharp' at character 21; did you mean sharpe?")).to_be_visible()
    page.get_by_role("textbox", name="Filter").fill("tag = shortlist")
    page.get_by_role("button", name="Apply").click()
    expect(rows).to_have_count(2)
    rows.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(2)
    assert Operation.objects.filter(title=BEST).exists()
