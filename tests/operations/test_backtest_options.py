"""Every rule of the engine can be asked for over the API, is checked there, and reaches the engine as it was asked."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from operations import artifacts
from operations.models import Artifact, MarketData, Operation
from tests.factories import OperationFactory
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.engine_rules import Rules

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
STRATEGY = Path("examples/strategies/neuro_fuzzy_daily.yaml").read_text()
OPTIONS: dict[str, Any] = {
    "stop_unit": "atr", "atr_period": 20, "stop_loss": 2.5, "take_profit": 6.0, "trailing_stop": 3.0,
    "quantity_step": 0.01, "minimum_quantity": 1.0, "max_leverage": 2.0, "size": 1.5, "sizing": "fraction",
    "fill": "next_close", "commission": 0.002, "slippage": 0.0, "spread": 0.0001, "initial_capital": 5000.0,
}  # fmt: skip


@pytest.fixture
def asked() -> dict[str, str]:
    """A trained model and bars to trade it on."""
    ended = {"status": "COMPLETED", "completed_at": datetime(2026, 1, 1, tzinfo=UTC)}
    trained: Operation = OperationFactory(
        operation_type="training", parameters={"strategy_yaml": STRATEGY}, **ended
    )
    bars = artifacts.put([b"bars"])
    for name in ("model.safetensors", "model.json"):
        Artifact.objects.create(operation=trained, role=Artifact.Role.OUTPUT, name=name, file=bars)
    MarketData.objects.create(
        symbol="AAPL", timeframe="1d", file=bars, rows=9, quality={},
        start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2013, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return {"model": trained.pk, "symbol": "AAPL"}


def test_what_is_asked_for_is_what_the_engine_is_given(api: APIClient, asked: dict[str, str]) -> None:
    answer = api.post("/backtests/start", {**asked, **OPTIONS, "seed": 7, "allow_short": False})
    assert answer.status_code == 202, answer.json()
    stored = Operation.objects.get(pk=answer.json()["operation_id"]).parameters
    given = BacktestParameters.model_validate(stored)
    assert given.rules(allow_short=bool(given.allow_short)) == Rules(**OPTIONS, allow_short=False)
    assert given.seed == 7


def test_what_is_not_asked_for_is_as_the_engine_has_it(api: APIClient, asked: dict[str, str]) -> None:
    answer = api.post("/backtests/start", asked)
    given = BacktestParameters.model_validate(
        Operation.objects.get(pk=answer.json()["operation_id"]).parameters
    )
    assert given.rules(allow_short=True) == Rules()


@pytest.mark.parametrize(
    ("wrong", "pointer", "sentence"),
    [
        ({"stop_loss": 1.5}, "/stop_loss", "as a fraction of the price it is below 1 (0.05 is 5 %)"),
        ({"trailing_stop": 2, "stop_unit": "fraction"}, "/trailing_stop", "as a fraction of the price it is below 1"),
        ({"size": 3}, "/max_leverage", "a size of 3 of the equity needs a max_leverage of at least 3"),
        ({"stop_unit": "pips"}, "/stop_unit", "must be 'fraction' or 'atr', not \"pips\""),
        ({"atr_period": 0}, "/atr_period", "must be at least 1, not 0"),
        ({"stop_unit": "atr", "stop_loss": 101}, "/stop_loss", "must be at most 100, not 101"),
        ({"quantity_step": -1}, "/quantity_step", "must be at least 0, not -1"),
        ({"minimum_quantity": "many"}, "/minimum_quantity", "must be a number, not \"many\""),
        ({"max_leverage": 1001}, "/max_leverage", "must be at most 1000, not 1001"),
        ({"commission": 0.6}, "/commission", "must be at most 0.5, not 0.6"),
    ],
)  # fmt: skip
def test_a_rule_that_the_engine_would_refuse_is_refused_at_once(
    api: APIClient, asked: dict[str, str], wrong: dict[str, Any], pointer: str, sentence: str
) -> None:
    answer = api.post("/backtests/start", {**asked, **wrong})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert sentence in error["detail"]
    assert not Operation.objects.filter(operation_type="backtesting").exists()


def test_units_may_be_many_without_leverage(api: APIClient, asked: dict[str, str]) -> None:
    assert api.post("/backtests/start", {**asked, "sizing": "units", "size": 50}).status_code == 202
