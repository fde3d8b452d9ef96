"""Backtests as a worker runs them, from files to result: content, look-ahead audits, warnings, invalid input."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.backtesting.conftest import TRAINED_UNTIL, NewJob
from tests.quant.learning.conftest import STRATEGY, synthetic
from worker_agent.protocol import InvalidInput
from workers.backtesting import backtest_report, decisions
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.backtesting.metrics import KEYS
from workers.learning.model_files import TrainedModel
from workers.strategy import features
from workers.strategy.lookahead import LookAheadError

AFTER = BacktestParameters(symbol="AAA", start_date="2017-07-03")


def test_a_backtest_reports_its_rules_and_provenance(new_job: NewJob) -> None:
    """Lessons Q4, Q10 and Q22"""
    job = new_job()
    result = run_backtest(AFTER, job)
    assert set(result["metrics"]) == set(result["benchmark"])
    assert result["settings"]["fill"] == "next_open"
    assert result["settings"]["engine_semantics"] == 2
    assert result["settings"]["calendar"] == "weekdays"
    assert result["settings"]["start"].startswith("2017-07-03")
    assert result["provenance"]["model_sha256"]
    assert result["provenance"]["strategy_sha256"]
    assert result["audit"]["look_ahead"]["passed"] is True
    assert result["audit"]["look_ahead"]["features"]["cuts"] >= 2
    assert result["benchmark"]["trades"] == 1
    assert set(job.artifacts) >= {"report.json", "trades.csv", "trades.parquet", "equity.parquet"}
    assert json.loads(json.dumps(result, allow_nan=False)) == json.loads(json.dumps(result))


def test_the_same_backtest_twice_gives_the_same_bits(new_job: NewJob) -> None:
    """Lesson Q11"""
    first, second = new_job(), new_job()
    results = [_without_times(run_backtest(AFTER, job)) for job in (first, second)]
    assert results[0] == results[1]
    assert first.artifacts["report.json"] == second.artifacts["report.json"]
    assert first.artifacts["trades.csv"] == second.artifacts["trades.csv"]


def _without_times(result: dict[str, Any]) -> dict[str, Any]:
    result["audit"]["look_ahead"]["features"].pop("seconds")
    result["audit"]["look_ahead"].pop("seconds")
    return result


def test_the_files_agree_with_the_metrics(new_job: NewJob) -> None:
    """Lesson Q3"""
    job = new_job()
    metrics = run_backtest(AFTER, job)["metrics"]
    report = json.loads(job.artifacts["report.json"])
    trades = pd.read_csv(pd.io.common.BytesIO(job.artifacts["trades.csv"]))
    equity = pd.read_parquet(pd.io.common.BytesIO(job.artifacts["equity.parquet"]))
    assert len(trades) == metrics["trades"], "a position open at the end is the last row"
    assert equity["equity"].iloc[-1] == pytest.approx(metrics["final_equity"], abs=1e-9)
    assert report["series"]["equity"][-1] == pytest.approx(metrics["final_equity"], abs=1e-9)
    assert min(report["series"]["drawdown"]) == pytest.approx(metrics["max_drawdown"], abs=1e-12)
    assert report["drawdowns"][0]["depth"] == pytest.approx(metrics["max_drawdown"], abs=1e-12)
    compounded = np.prod([1 + month["return"] for month in report["monthly_returns"]]) - 1
    assert compounded == pytest.approx(metrics["total_return"], abs=1e-9)


def test_bars_after_the_end_change_nothing(new_job: NewJob) -> None:
    """Lesson Q8"""
    complete = synthetic(0, persistence=0.35)
    until = BacktestParameters(symbol="AAA", start_date="2017-07-03", end_date="2018-01-31")
    cut = run_backtest(until, new_job(complete[complete.index < pd.Timestamp("2018-02-01", tz="UTC")]))
    other = complete.copy()
    later = other.index >= pd.Timestamp("2018-02-01", tz="UTC")
    other.loc[later, ["open", "high", "low", "close"]] *= 3.0
    changed = run_backtest(until, new_job(other))
    assert cut["metrics"] == changed["metrics"]
    assert cut["settings"] == changed["settings"]


def test_a_planted_leak_fails_the_backtest_and_is_named(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesson Q7"""
    original = features.compute_unchecked

    def shift_by_one_bar(*arguments: Any, **named: Any) -> Any:
        outputs = original(*arguments, **named)
        return {
            name: np.append(values[1:], values[-1]) if np.isfinite(values[-1]) else values
            for name, values in outputs.items()
        }

    monkeypatch.setattr(features, "compute_unchecked", shift_by_one_bar)
    with pytest.raises(LookAheadError, match=r"the input 1d_.* uses future data"):
        run_backtest(AFTER, new_job())


def test_rounding_in_the_network_is_not_a_leak(new_job: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 a row's prediction depends on the number of rows predicted with it, by up to 4e-8 (measured)."""
    original = TrainedModel.predict

    def predict_with_rounding(
        self: TrainedModel, features: pd.DataFrame, bars: pd.DatetimeIndex
    ) -> np.ndarray:
        return original(self, features, bars) * (1.0 + 4e-8 * (len(features) % 3 - 1))

    monkeypatch.setattr(TrainedModel, "predict", predict_with_rounding)
    assert run_backtest(AFTER, new_job())["audit"]["look_ahead"]["cuts"] >= 2


def test_a_model_that_depends_on_later_rows_fails_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its predictions are divided by the largest one of the test period."""
    original = TrainedModel.predict

    def predict_with_future(self: TrainedModel, features: pd.DataFrame, bars: pd.DatetimeIndex) -> np.ndarray:
        predictions = original(self, features, bars)
        return predictions / predictions.max(axis=0)

    monkeypatch.setattr(TrainedModel, "predict", predict_with_future)
    with pytest.raises(LookAheadError, match=r"the prediction at .* changes when the bars after"):
        run_backtest(AFTER, new_job())


def test_directions_that_depend_on_later_rows_fail_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        decisions,
        "target_directions",
        lambda strategy_decisions, predictions, allow_short: np.sign(predictions - predictions.mean(axis=0))[
            :, 2
        ],
    )
    with pytest.raises(LookAheadError, match=r"the target directions up to .* change"):
        run_backtest(AFTER, new_job())


def test_a_spread_in_the_data_is_used_unless_the_request_sets_one(new_job: NewJob) -> None:
    bars = synthetic(0, persistence=0.35)
    bars["spread"] = 0.004 * bars["open"]
    own = run_backtest(AFTER, new_job(bars))
    assert (own["settings"]["spread"], own["settings"]["spread_source"]) == (pytest.approx(0.004), "data")
    same = run_backtest(AFTER.model_copy(update={"spread": 0.004}), new_job(bars))
    assert own["metrics"]["final_equity"] == pytest.approx(same["metrics"]["final_equity"], rel=1e-12)
    assert own["benchmark"]["final_equity"] == pytest.approx(same["benchmark"]["final_equity"], rel=1e-12)
    assert own["audit"]["sensitivity"]["doubled_costs"]["total_return"] == pytest.approx(
        same["audit"]["sensitivity"]["doubled_costs"]["total_return"], rel=1e-12
    )
    free = run_backtest(AFTER.model_copy(update={"spread": 0.0}), new_job(bars))
    assert free["settings"]["spread_source"] == "constant"
    assert free["metrics"]["final_equity"] > own["metrics"]["final_equity"]


@pytest.mark.parametrize(
    ("sizing", "held"),
    [
        ({"size": 0.25}, 0.25),
        ({"size": 3.0, "max_leverage": 3.0}, 3.0),
        ({"sizing": "units", "size": 7.0}, None),
    ],
)
def test_the_benchmark_uses_the_sizing_of_the_backtest(
    new_job: NewJob, sizing: dict[str, Any], held: float | None
) -> None:
    """Lesson Q22"""
    job = new_job()
    free = {"commission": 0.0, "slippage": 0.0, "spread": 0.0, **sizing}
    result = run_backtest(BacktestParameters(symbol="AAA", start_date="2017-07-03", **free), job)
    equity = pd.read_parquet(pd.io.common.BytesIO(job.artifacts["equity.parquet"]))
    bars = synthetic(0, persistence=0.35).loc["2017-07-03":]
    units = 7.0 if held is None else held * 100_000 / bars["open"].iloc[1]
    expected = 100_000 + units * (bars["close"].iloc[-1] - bars["open"].iloc[1])
    assert result["benchmark"]["final_equity"] == pytest.approx(expected)
    assert equity["benchmark"].iloc[-1] == pytest.approx(expected)


def test_a_model_that_cannot_predict_fails_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesson Q32"""

    def fail(self: TrainedModel, *_: Any) -> Any:
        raise RuntimeError("weights are corrupt")

    monkeypatch.setattr(TrainedModel, "predict", fail)
    with pytest.raises(RuntimeError, match="weights are corrupt"):
        run_backtest(AFTER, new_job())


def test_a_backtest_without_its_report_still_gives_a_result(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesson Q16"""

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("a new library")

    monkeypatch.setattr(backtest_report, "build_report", fail)
    job = new_job()
    result = run_backtest(AFTER, job)
    assert result["metrics"]["final_equity"] > 0
    assert "no_report" in {warning["code"] for warning in result["warnings"]}
    assert "trades.csv" in job.artifacts
    assert any("Could not build the report" in line for line in job.lines)


def test_a_test_on_training_data_gives_a_warning(new_job: NewJob) -> None:
    result = run_backtest(BacktestParameters(symbol="AAA"), new_job())
    assert result["warnings"][0]["code"] == "overlap"
    assert TRAINED_UNTIL[:4] in result["warnings"][0]["message"]


def test_higher_costs_give_a_lower_return(new_job: NewJob) -> None:
    free = run_backtest(AFTER.model_copy(update={"commission": 0.0, "slippage": 0.0}), new_job())
    costly = run_backtest(AFTER.model_copy(update={"commission": 0.01}), new_job())
    assert costly["metrics"]["total_return"] < free["metrics"]["total_return"]
    assert costly["audit"]["sensitivity"]["doubled_costs"]["total_return"] < costly["metrics"]["total_return"]
    assert costly["metrics"]["fees"] > 0 == free["metrics"]["fees"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"timeframe": "1h"}, "the strategy's base timeframe is 1d"),
        ({"symbol": "ZZZ"}, "No 1d bars of ZZZ found"),
        ({"start_date": "2031-01-01"}, "No 1d bars of AAA found between 2031-01-01 and the end"),
        ({"start_date": "2017-07-03", "end_date": "2016-01-01"}, "between 2017-07-03 and 2016-01-01"),
        ({"strategy_yaml": "name: ["}, "line 1"),
        ({"strategy_yaml": STRATEGY.replace("period: 7", "period: 9")}, "`indicators` differs"),
        ({"start_date": "2015-01-01", "end_date": "2015-01-06"}, "none of the"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_impossible_backtest_gives_a_clear_error(
    new_job: NewJob, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        run_backtest(BacktestParameters(**{"symbol": "AAA", **parameters}), new_job())


def test_a_backtest_without_a_model_is_rejected(new_job: NewJob) -> None:
    job = new_job()
    job.inputs = {name: path for name, path in job.inputs.items() if not name.startswith("model/")}
    with pytest.raises(InvalidInput, match="needs a trained model"):
        run_backtest(AFTER, job)


def test_constant_prices_can_be_backtested(new_job: NewJob) -> None:
    bars = synthetic(0)
    bars[["open", "high", "low", "close"]] = 50.0
    result = run_backtest(AFTER, new_job(bars))
    assert result["metrics"]["sharpe"] is None or result["metrics"]["sharpe"] <= 0
    assert result["benchmark"]["total_return"] < 0, "only costs"


def test_every_documented_metric_is_present(new_job: NewJob) -> None:
    """Lesson Q1"""
    metrics = run_backtest(AFTER, new_job())["metrics"]
    assert set(metrics) == {*KEYS, "bars_per_year", "sharpe_per_bar"}


def test_the_ratios_of_other_trials_replace_the_variance_of_no_skill(new_job: NewJob) -> None:
    def dsr(**more: Any) -> float:
        return float(
            run_backtest(AFTER.model_copy(update={"trials": 30, **more}), new_job())["metrics"]["dsr"]
        )

    similar, wild = dsr(trial_sharpes=[0.01, 0.011, 0.012]), dsr(trial_sharpes=[-0.4, 0.0, 0.4])
    assert wild < dsr() < similar


@pytest.mark.parametrize(
    ("trials", "trainings", "sentence"),
    [(12, 3, "12 trials on this data: 9 backtests, 3 trainings"), (2, 1, "2 trials on this data: 1 backtest, 1 training"),
     (2, 0, "2 trials on this data<"), (1, 0, "1 trial on this data<")],
)  # fmt: skip
def test_the_tear_sheet_counts_backtests_and_trainings(
    new_job: NewJob, trials: int, trainings: int, sentence: str
) -> None:
    job = new_job()
    counts = {"trials": trials, "training_trials": trainings}
    result = run_backtest(AFTER.model_copy(update=counts), job)
    assert result["trials"] == {"backtests": trials - trainings, "trainings": trainings}
    assert sentence in job.artifacts["report.html"].decode()
