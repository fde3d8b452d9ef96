"""Pages of rules strategies: conditions in the result, and the next steps that a strategy without training has."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from dashboard.pages.strategies import list_strategies
from tests.browser.sample_operations import create_operation

RULES = Path("examples/strategies/moving_average_cross.yaml").read_text()
CONDITIONS = [
    {"name": "long", "expression": "crosses_above(fast, slow) < 5", "true": 12, "unknown": 100, "bars": 2500},
    {"name": "exit_long", "expression": "crosses_below(fast, slow)", "true": 0, "unknown": 100, "bars": 2500},
]


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def test_the_result_lists_the_conditions(browser: Client, staff: Any) -> None:
    operation = create_operation(
        staff, "backtesting", "COMPLETED",
        parameters={"strategy_yaml": RULES, "symbol": "AAPL", "timeframe": "1d"},
        result={"metrics": {}, "benchmark": {}, "settings": {}, "bars": {"test": 2500}, "conditions": CONDITIONS},
    )  # fmt: skip
    page = browser.get(f"/dashboard/operations/{operation.pk}").content.decode()
    assert "crosses_above(fast, slow) &lt; 5" in page
    assert '<td class="num">12</td>' in page
    assert "Of 2\u202f500 bars of the test period" in page


def test_a_rules_strategy_is_offered_for_a_backtest_and_not_for_a_training(
    browser: Client, staff: Any
) -> None:
    create_operation(
        staff, "backtesting", "COMPLETED", parameters={"strategy_yaml": RULES, "symbol": "AAPL"}, result={}
    )
    (strategy,) = list_strategies()
    assert strategy.name == "moving_average_cross"
    page = browser.get(f"/dashboard/strategies/{strategy.digest}").content.decode()
    assert "Backtest this strategy" in page
    assert "Train this strategy" not in page
    form = browser.get(f"/dashboard/new/backtesting?strategy={strategy.digest}").content.decode()
    assert "long: crosses_above(fast, slow)" in form


def test_the_preview_of_the_form_states_that_no_training_is_needed(browser: Client) -> None:
    page = browser.post("/dashboard/new/backtesting/preview", {"strategy_yaml": RULES, "symbol": "AAPL"})
    text = " ".join(page.content.decode().split())
    assert "(2 inputs, 100 bars of warm-up, no training)" in text


def test_the_examples_of_a_form_are_grouped_by_whether_they_need_a_training(browser: Client) -> None:
    form = browser.get("/dashboard/new/training").content.decode()
    trained, rules = form.split('<optgroup label="Examples with ')[1:3]
    assert trained.startswith("a trained model")
    assert "example:neuro_fuzzy_daily" in trained
    assert rules.startswith("rules, not trained")
    assert "example:moving_average_cross" in rules
