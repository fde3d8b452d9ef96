"""The sentence that a page of a result starts with."""

from typing import Any

import pytest

from operations.kinds.training.verdict import verdict as training_verdict
from workers.verdicts.backtest import verdict as backtest_verdict


def backtest(
    earned: float = 0.3, held: float = 0.1, trades: int = 40, *codes: str, **more: Any
) -> dict[str, Any]:
    return {
        "metrics": {"total_return": earned, "trades": trades},
        "benchmark": {"total_return": held},
        "warnings": [{"code": code, "message": code} for code in codes],
        **more,
    }


@pytest.mark.parametrize(
    ("result", "level", "title"),
    [
        (backtest(), "good", "Better than buy and hold"),
        (backtest(0.3, 0.1, 40, "cut"), "warn", "Better than buy and hold, with warnings"),
        (backtest(0.3, 0.1, 4, "few_trades"), "warn", "Could be chance"),
        (backtest(0.3, 0.1, 40, "doubled_costs"), "warn", "Could be chance"),
        (backtest(0.3, 0.1, 40, "few_trades", "no_costs"), "warn", "Not realistic"),
        (backtest(0.3, 0.5, 40, "worse_than_holding"), "warn", "Worse than buy and hold"),
        (backtest(-0.1, -0.5), "bad", "Lost money"),
        (backtest(-1.0, 0.5, 40, "ruin"), "bad", "Ruined"),
        (backtest(0.3, 0.1, 40, "overlap", "luck"), "bad", "Not an out-of-sample test"),
        (backtest(0.0, 0.1, 0, "overlap", "no_trades"), "warn", "No trades"),
        (backtest(audit={"look_ahead": {"passed": False}}), "bad", "Not valid"),
        (
            {**backtest(), "warnings": ["text of an old result"]},
            "warn",
            "Better than buy and hold, with warnings",
        ),
        ({**backtest(), "benchmark": {"metrics": {"total_return": 0.5}}}, "warn", "Worse than buy and hold"),
    ],
)
def test_the_most_serious_finding_is_the_verdict_on_a_backtest(
    result: dict[str, Any], level: str, title: str
) -> None:
    verdict = backtest_verdict(result)
    assert verdict is not None
    assert (verdict.level, verdict.title) == (level, title)


def test_results_without_the_figures_have_no_verdict() -> None:
    assert backtest_verdict({}) is None
    assert backtest_verdict({"metrics": {"total_return": None}}) is None
    assert training_verdict({}) is None
    assert training_verdict({"metrics": {"test": {"accuracy": 0.5}}}) is None


@pytest.mark.parametrize(
    ("test", "warnings", "level"),
    [
        ({"accuracy": 0.51, "majority_accuracy": 0.44}, [], "good"),
        ({"accuracy": 0.51, "majority_accuracy": 0.44}, ["x"], "warn"),
        ({"accuracy": 0.44, "majority_accuracy": 0.44}, [], "bad"),
        ({"r2": 0.02}, [], "good"),
        ({"r2": -0.02}, [], "bad"),
    ],
)
def test_a_model_is_compared_with_the_simplest_forecast(
    test: dict[str, float], warnings: list[str], level: str
) -> None:
    verdict = training_verdict({"metrics": {"test": test}, "warnings": warnings})
    assert verdict is not None
    assert verdict.level == level
