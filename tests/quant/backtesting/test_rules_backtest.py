"""Backtests of rules strategies, from file to result, against a loop written by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import synthetic
from tests.quant.strategy.rules import conditions, rules_text
from worker_agent.protocol import InvalidInput
from workers.backtesting import condition_decisions
from workers.backtesting.backtest_inputs import MODEL_WEIGHTS
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars
from workers.strategy.lookahead import LookAheadError

EXAMPLES = Path(__file__).parents[3] / "examples" / "strategies"
NewRulesJob = Callable[..., BacktestJob]


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return synthetic(3, n=700)


@pytest.fixture(scope="module")
def new_job(tmp_path_factory: pytest.TempPathFactory, bars: pd.DataFrame) -> NewRulesJob:
    path = tmp_path_factory.mktemp("rules") / "XY.parquet"
    write_bars(bars, path)
    return lambda: BacktestJob({"bars/XY/1d.parquet": path})


def backtest(job: BacktestJob, text: str, **settings: Any) -> dict[str, Any]:
    return run_backtest(BacktestParameters(symbol="XY", strategy_yaml=text, **settings), job)


def test_the_moving_average_cross_equals_a_loop_written_by_hand(
    new_job: NewRulesJob, bars: pd.DataFrame
) -> None:
    """Entries and exits at the next open, fees on both sides, all equity in one position."""
    text = (EXAMPLES / "moving_average_cross.yaml").read_text()
    text = text.replace("period: 100", "period: 30").replace("period: 20", "period: 8")
    costs = {"commission": 0.001, "slippage": 0.0, "spread": 0.0}
    result = backtest(new_job(), text, start_date="2015-07-01", **costs)
    close, opens = bars["close"].to_numpy(), bars["open"].to_numpy()
    first = int(bars.index.searchsorted(pd.Timestamp("2015-07-01", tz="UTC")))
    cash, shares, trades, order = 100_000.0, 0.0, 0, 0
    for t in range(first, len(close)):
        if order > 0:
            shares = cash / (opens[t] * 1.001)
            cash, trades = cash - shares * opens[t] * 1.001, trades + 1
        elif order < 0:
            cash, shares = cash + shares * opens[t] * 0.999, 0.0
        fast, fast_before = close[t - 7 : t + 1].mean(), close[t - 8 : t].mean()
        slow, slow_before = close[t - 29 : t + 1].mean(), close[t - 30 : t].mean()
        crossed_up = fast > slow and fast_before <= slow_before
        crossed_down = fast < slow and fast_before >= slow_before
        order = 1 if crossed_up and not shares else -1 if crossed_down and shares else 0
    assert trades >= 8
    assert result["metrics"]["trades"] == trades
    assert result["metrics"]["final_equity"] == pytest.approx(cash + shares * close[-1], rel=1e-9)


@pytest.mark.parametrize("name", ["moving_average_cross", "rsi_reversion_in_trend", "breakout_with_atr_stop"])
def test_the_examples_without_training_trade(name: str, new_job: NewRulesJob) -> None:
    result = backtest(new_job(), (EXAMPLES / f"{name}.yaml").read_text())
    assert result["metrics"]["trades"] > 0
    assert result["audit"]["look_ahead"]["passed"] is True
    assert result["audit"]["look_ahead"]["cuts"] == 150
    assert "never_true" not in [warning["code"] for warning in result["warnings"]]


def test_the_result_counts_each_condition_and_names_those_that_were_never_true(new_job: NewRulesJob) -> None:
    texts = {"long": "close > open", "exit_long": "close < 0", "short": "mean(close, 4000) > 1"}
    job = new_job()
    result = backtest(job, rules_text(conditions(**texts)), start_date="2016-01-01")
    assert b"<td>close &gt; open</td>" in job.artifacts["report.html"]
    rows = {row["name"]: row for row in result["conditions"]}
    assert set(rows) == set(texts)
    assert 0 < rows["long"]["true"] < rows["long"]["bars"] == result["bars"]["test"]
    assert (rows["exit_long"]["true"], rows["exit_long"]["unknown"]) == (0, 0)
    assert rows["short"]["unknown"] == rows["short"]["bars"]
    messages = [warning["message"] for warning in result["warnings"] if warning["code"] == "never_true"]
    assert "exit_long was true at none of the" in messages[1]
    assert "because its values never existed together: mean(close, 4000) > 1" in messages[0]
    assert result["provenance"]["model_sha256"] is None
    assert result["provenance"]["strategy_sha256"]
    assert result["settings"]["decisions"]["long"] == "close > open"


def test_the_test_period_starts_without_a_position(new_job: NewRulesJob) -> None:
    """An entry before the period is not carried into it."""
    text = rules_text(conditions(long="close > 0 and shift(close, 1) > 0 and not shift(close, 2) > 0"))
    assert backtest(new_job(), text, start_date="2016-01-01")["metrics"]["trades"] == 0


def test_a_decision_that_reads_later_bars_fails_the_backtest(
    new_job: NewRulesJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = condition_decisions.evaluate_condition

    def normalised_by_the_future(tree: Any, lookup: Any, n: int) -> Any:
        return original(tree, lambda name: lookup(name) / lookup(name)[-1], n)

    monkeypatch.setattr(condition_decisions, "evaluate_condition", normalised_by_the_future)
    text = rules_text(conditions(long="close > 1", exit_long="close < 1"))
    with pytest.raises(LookAheadError, match=r"the target directions up to .* change"):
        backtest(new_job(), text)


@pytest.mark.parametrize(
    ("files", "change", "sentence"),
    [
        ({MODEL_WEIGHTS: Path("x")}, conditions(long="close > 1"), "A rules strategy needs no model"),
        ({}, conditions(long="clsoe > 1"), "did you mean close?"),
    ],
)
def test_a_wrong_request_gives_a_sentence(
    new_job: NewRulesJob, files: dict[str, Path], change: Any, sentence: str
) -> None:
    job = new_job()
    job.inputs = {**job.inputs, **files}
    with pytest.raises(InvalidInput, match=sentence.replace("?", r"\?")):
        backtest(job, rules_text(change))


def test_a_rules_strategy_is_not_trained(new_job: NewRulesJob) -> None:
    with pytest.raises(InvalidInput, match="a rules strategy is not trained; submit it as a backtest"):
        run_training(TrainingParameters(strategy_yaml=rules_text()), new_job())


def test_a_condition_may_read_another_symbol(new_job: NewRulesJob, tmp_path: Path) -> None:
    """The bars of both symbols are in the provenance."""

    def relative_strength(data: dict[str, Any]) -> None:
        conditions(long="ratio > shift(ratio, 5)", exit_long="ratio < shift(ratio, 5)")(data)
        data["indicators"]["market"] = {"type": "expression", "expression": "close", "symbol": "SPY"}
        data["indicators"]["ratio"] = {"type": "expression", "expression": "close / market"}

    job = new_job()
    write_bars(synthetic(4, n=700), tmp_path / "SPY.parquet")
    job.inputs = {**job.inputs, "bars/SPY/1d.parquet": tmp_path / "SPY.parquet"}
    result = backtest(job, rules_text(relative_strength))
    assert result["metrics"]["trades"] > 10
    assert set(result["provenance"]["data_sha256"]) == {"XY/1d", "SPY/1d"}
