"""Rules strategies over the API and the command: a backtest without a model, and no training."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from rest_framework.test import APIClient

from operations import artifacts
from operations.models import MarketData, Operation
from tests.factories import OperationFactory
from workers.backtesting.backtest_parameters import BacktestParameters

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
RULES = Path("examples/strategies/moving_average_cross.yaml")
TRAINED = Path("examples/strategies/neuro_fuzzy_daily.yaml")


@pytest.fixture(autouse=True)
def bars() -> None:
    MarketData.objects.create(
        symbol="AAPL", timeframe="1d", file=artifacts.put([b"bars"]), rows=9, quality={},
        start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2013, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_a_rules_strategy_is_backtested_without_a_model(api: APIClient) -> None:
    response = api.post("/backtests/start", {"strategy_yaml": RULES.read_text(), "symbol": "AAPL"})
    assert response.status_code == 202, response.json()
    operation = Operation.objects.get(pk=response.json()["operation_id"])
    parameters = BacktestParameters.model_validate(operation.parameters)
    assert (parameters.model, parameters.timeframe) == (None, "1d")
    assert [*operation.artifacts.values_list("name", flat=True)] == ["bars/AAPL/1d.parquet"]


@pytest.mark.parametrize(
    ("strategy", "fields", "pointer", "sentence"),
    [
        (RULES, {"model": True}, "/model", "A rules strategy has no model; remove `model`."),
        (TRAINED, {}, "/model", "A backtest of this strategy needs a trained model"),
        (None, {}, "/model", "Set `model` to the id of a training, or `strategy_yaml` to a rules strategy."),
        (RULES, {"timeframe": "1h"}, "/timeframe", "The strategy's inputs use 1d bars, not 1h."),
    ],
)
def test_a_wrong_combination_is_refused_with_its_remedy(
    api: APIClient, strategy: Path | None, fields: dict[str, Any], pointer: str, sentence: str
) -> None:
    if fields.get("model"):
        training = OperationFactory(
            operation_type="training", parameters={"strategy_yaml": TRAINED.read_text()}
        )
        fields = {"model": training.pk, "after": [training.pk]}
    text = {} if strategy is None else {"strategy_yaml": strategy.read_text()}
    response = api.post("/backtests/start", {"symbol": "AAPL", **text, **fields})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer
    assert sentence in error["detail"]


def test_the_training_of_a_rules_strategy_is_refused_and_names_the_backtest(api: APIClient) -> None:
    response = api.post("/training/start", {"strategy_yaml": RULES.read_text()})
    assert response.status_code == 422
    assert response.json()["detail"] == "A rules strategy is not trained; backtest it without a model."


def test_validation_returns_the_inputs_and_the_place_of_a_mistake(api: APIClient) -> None:
    text = RULES.read_text()
    response = api.post("/strategies/validate", {"strategy_yaml": text})
    assert response.json()["inputs"] == ["fast", "slow"]
    assert (response.json()["is_trained"], response.json()["warm_up_bars"]) == (False, 100)
    assert response.json()["warnings"] == []
    wrong = text.replace("crosses_below(fast, slow)", "crosses_below(fast, slwo)")
    [error] = api.post("/strategies/validate", {"strategy_yaml": wrong}).json()["errors"]
    assert error["pointer"] == "/strategy_yaml/decisions/exit_long"
    line = wrong.splitlines()[error["line"] - 1]
    assert line[error["column"] - 1 :] == "slwo)"
    assert "did you mean slow?" in error["detail"]


def test_the_command_submits_a_rules_strategy_for_its_own_symbol() -> None:
    call_command("submit", "backtest", str(RULES))
    operation = Operation.objects.get()
    assert (operation.operation_type, operation.parameters["symbol"]) == ("backtesting", "AAPL")
    with pytest.raises(CommandError, match="A rules strategy is not trained"):
        call_command("submit", "training", str(RULES))


def test_the_catalog_lists_the_functions_of_expressions(api: APIClient) -> None:
    functions = {row["name"]: row["signature"] for row in api.get("/strategies/catalog").json()["functions"]}
    assert functions["crosses_above"] == "crosses_above(a, b)"


def test_bars_of_another_symbol_become_inputs(api: APIClient) -> None:
    text = RULES.read_text().replace(
        "  fast:\n", "  market: {type: expression, expression: close, symbol: SPY}\n  fast:\n"
    )
    text = text.replace("crosses_above(fast, slow)", "crosses_above(fast, slow) and close / market > 0.5")
    response = api.post("/backtests/start", {"strategy_yaml": text, "symbol": "AAPL"})
    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "/strategy_yaml", "detail": "No market data for SPY."}]
    MarketData.objects.create(
        symbol="SPY", timeframe="1d", file=artifacts.put([b"spy"]), rows=9, quality={},
        start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2013, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    response = api.post("/backtests/start", {"strategy_yaml": text, "symbol": "AAPL"})
    operation = Operation.objects.get(pk=response.json()["operation_id"])
    names = operation.artifacts.values_list("name", flat=True)
    assert {*names} == {"bars/AAPL/1d.parquet", "bars/SPY/1d.parquet"}
