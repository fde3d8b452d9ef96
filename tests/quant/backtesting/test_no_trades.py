"""A backtest without trades explains why, once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import synthetic
from tests.quant.strategy.rules import conditions, rules_text
from workers.backtesting import no_trades
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.market_data.bars import write_bars
from workers.strategy.sections.decisions import ClassificationDecisions, RegressionDecisions

NAN = float("nan")
CLASSES = ClassificationDecisions(output_format="classification", confidence_threshold=0.6)
FORECASTS = RegressionDecisions(output_format="regression")


@pytest.mark.parametrize(
    ("rules", "predictions", "may_short", "expected"),
    [
        (CLASSES, [[NAN] * 3, [NAN] * 3], True, ["The model gave no prediction at any bar."]),
        (
            CLASSES,
            [[0.2, 0.3, 0.5], [0.41, 0.3, 0.29], [NAN] * 3],
            True,
            ["50.0 % for long and 41.0 % for short", "at least 60.0 %"],
        ),
        (
            CLASSES,
            [[0.7, 0.2, 0.1], [0.65, 0.2, 0.15], [0.1, 0.8, 0.1]],
            False,
            ["2 bars signalled short, but short positions are not allowed."],
        ),
        (CLASSES, [[0.7, 0.2, 0.1]], True, ["1 bar signalled short, but no order was filled."]),
        (
            FORECASTS,
            [-0.001, 0.002, NAN],
            True,
            ["between -0.100 % and +0.200 %", "more than 0.450 %, the costs times the smallest edge"],
        ),
    ],
)
def test_predictions_explain_why_nothing_was_traded(
    rules: Any, predictions: list[Any], may_short: bool, expected: list[str]
) -> None:
    text = " ".join(no_trades.model_reasons(rules, np.array(predictions, np.float64), may_short=may_short))
    for part in expected:
        assert part in text
    assert ("signalled" in text) == any("signalled" in part for part in expected)


@pytest.mark.parametrize(
    ("row", "wanted", "may_short", "expected"),
    [
        ({"name": "long", "true": 0, "unknown": 0}, 0, True, "long was never true: close > 1."),
        ({"name": "long", "true": 0, "unknown": 9}, 0, True, "its values never existed together"),
        (
            {"name": "short", "true": 4, "unknown": 0},
            0,
            False,
            "true at 4 bars, but short positions are not allowed.",
        ),
        ({"name": "short", "true": 1, "unknown": 0}, -1, True, "true at 1 bar, but no order was filled."),
        ({"name": "long", "true": 4, "unknown": 0}, 0, True, "exit_long was true as well"),
    ],
)
def test_conditions_explain_why_nothing_was_traded(
    row: dict[str, Any], wanted: int, may_short: bool, expected: str
) -> None:
    table = [
        {**row, "expression": "close > 1", "bars": 9},
        {"name": "exit_long", "true": 0, "unknown": 0, "bars": 9},
    ]
    (reason,) = no_trades.condition_reasons(table, np.array([0, wanted], np.int8), may_short=may_short)
    assert expected in reason


def test_the_explanation_replaces_the_warnings_that_follow_from_it(tmp_path: Path) -> None:
    path = tmp_path / "XY.parquet"
    write_bars(synthetic(3, n=700), path)
    text = rules_text(conditions(long="close < 0", exit_long="close > 1", short="close > 0"))
    parameters = BacktestParameters(symbol="XY", strategy_yaml=text, allow_short=False)
    result = run_backtest(parameters, BacktestJob({"bars/XY/1d.parquet": path}))
    codes = [warning["code"] for warning in result["warnings"]]
    assert codes.count("no_trades") == 1
    assert not set(codes) & set(no_trades.REPLACED_WARNINGS)
    message = result["warnings"][0]["message"]
    assert message.startswith("The strategy never traded. The condition long was never true: close < 0.")
    assert "The condition short was true at" in message
    assert "but short positions are not allowed." in message
