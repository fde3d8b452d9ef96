"""A whole backtest, from files to result: what it says of itself, what it notices, what it refuses."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.backtesting.conftest import TRAINED_UNTIL, NewJob
from tests.quant.learning.conftest import STRATEGY, synthetic
from worker_agent.protocol import InvalidInput
from workers.backtesting import decisions, report
from workers.backtesting.metrics import KEYS
from workers.backtesting.parameters import BacktestParameters
from workers.backtesting.run import run_backtest
from workers.learning.model_files import TrainedModel
from workers.strategy import features
from workers.strategy.lookahead import LookAheadError

AFTER = BacktestParameters(symbol="AAA", start_date="2017-07-03")


def test_a_backtest_says_what_was_done_under_which_rules(new_job: NewJob) -> None:
    """lessons Q4, Q10 and Q22"""
    job = new_job()
    result = run_backtest(AFTER, job)
    assert set(result["metrics"]) == set(result["benchmark"])
    assert result["settings"]["fill"] == "next_open"
    assert result["settings"]["engine_semantics"] == 1
    assert result["settings"]["start"].startswith("2017-07-03")
    assert result["provenance"]["model_sha256"]
    assert result["provenance"]["strategy_sha256"]
    assert result["audit"]["look_ahead"]["passed"] is True
    assert result["audit"]["look_ahead"]["features"]["cuts"] >= 2
    assert result["benchmark"]["trades"] == 1
    assert set(job.artifacts) >= {"report.json", "trades.csv", "trades.parquet", "equity.parquet"}
    assert json.loads(json.dumps(result, allow_nan=False)) == json.loads(json.dumps(result))


def test_the_same_backtest_again_is_the_same_to_the_bit(new_job: NewJob) -> None:
    """lesson Q11"""
    first, second = new_job(), new_job()
    found = [_without_times(run_backtest(AFTER, job)) for job in (first, second)]
    assert found[0] == found[1]
    assert first.artifacts["report.json"] == second.artifacts["report.json"]
    assert first.artifacts["trades.csv"] == second.artifacts["trades.csv"]


def _without_times(result: dict[str, Any]) -> dict[str, Any]:
    result["audit"]["look_ahead"]["features"].pop("seconds")
    result["audit"]["look_ahead"]["features"].pop("cuts")
    result["audit"]["look_ahead"]["features"].pop("rows_compared")
    result["audit"]["look_ahead"].pop("cuts")
    return result


def test_the_files_agree_with_the_figures(new_job: NewJob) -> None:
    """lesson Q3"""
    job = new_job()
    metrics = run_backtest(AFTER, job)["metrics"]
    drawn = json.loads(job.artifacts["report.json"])
    trades = pd.read_csv(pd.io.common.BytesIO(job.artifacts["trades.csv"]))
    equity = pd.read_parquet(pd.io.common.BytesIO(job.artifacts["equity.parquet"]))
    assert len(trades) == metrics["trades"], "one that is open at the end is the last row"
    assert equity["equity"].iloc[-1] == pytest.approx(metrics["final_equity"], abs=1e-9)
    assert drawn["series"]["equity"][-1] == pytest.approx(metrics["final_equity"], abs=1e-9)
    assert min(drawn["series"]["drawdown"]) == pytest.approx(metrics["max_drawdown"], abs=1e-12)
    assert drawn["drawdowns"][0]["depth"] == pytest.approx(metrics["max_drawdown"], abs=1e-12)
    compounded = np.prod([1 + month["return"] for month in drawn["monthly_returns"]]) - 1
    assert compounded == pytest.approx(metrics["total_return"], abs=1e-9)


def test_bars_after_the_end_change_nothing(new_job: NewJob) -> None:
    """lesson Q8"""
    whole = synthetic(0, persistence=0.35)
    until = BacktestParameters(symbol="AAA", start_date="2017-07-03", end_date="2018-01-31")
    cut = run_backtest(until, new_job(whole[whole.index < pd.Timestamp("2018-02-01", tz="UTC")]))
    other = whole.copy()
    later = other.index >= pd.Timestamp("2018-02-01", tz="UTC")
    other.loc[later, ["open", "high", "low", "close"]] *= 3.0
    changed = run_backtest(until, new_job(other))
    assert cut["metrics"] == changed["metrics"]
    assert cut["settings"] == changed["settings"]


def test_a_planted_leak_fails_the_backtest_and_is_named(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson Q7"""
    honest = features.compute_unchecked

    def of_tomorrow(*arguments: Any, **named: Any) -> Any:
        found = honest(*arguments, **named)
        return {
            name: np.append(values[1:], values[-1]) if np.isfinite(values[-1]) else values
            for name, values in found.items()
        }

    monkeypatch.setattr(features, "compute_unchecked", of_tomorrow)
    with pytest.raises(LookAheadError, match=r"the input 1d_.* uses future data"):
        run_backtest(AFTER, new_job())


def test_rounding_in_the_network_is_no_leak(new_job: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 a row's prediction depends on how many rows are predicted with it: by up to 4e-8, measured."""
    honest = TrainedModel.predict

    def rounded(self: TrainedModel, features: pd.DataFrame, bars: pd.DatetimeIndex) -> np.ndarray:
        return honest(self, features, bars) * (1.0 + 4e-8 * (len(features) % 3 - 1))

    monkeypatch.setattr(TrainedModel, "predict", rounded)
    assert run_backtest(AFTER, new_job())["audit"]["look_ahead"]["cuts"] >= 2


def test_a_model_that_looks_at_later_rows_fails_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its predictions are measured against the largest of the whole test."""
    honest = TrainedModel.predict

    def peeking(self: TrainedModel, features: pd.DataFrame, bars: pd.DatetimeIndex) -> np.ndarray:
        found = honest(self, features, bars)
        return found / found.max(axis=0)

    monkeypatch.setattr(TrainedModel, "predict", peeking)
    with pytest.raises(LookAheadError, match=r"the prediction at .* changes when the bars after"):
        run_backtest(AFTER, new_job())


def test_directions_that_look_at_later_rows_fail_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        decisions, "targets", lambda asked, found, allow_short: np.sign(found - found.mean(axis=0))[:, 2]
    )
    with pytest.raises(LookAheadError, match=r"the direction wanted up to .* changes"):
        run_backtest(AFTER, new_job())


def test_a_spread_in_the_data_is_paid_unless_the_request_names_one(new_job: NewJob) -> None:
    bars = synthetic(0, persistence=0.35)
    bars["spread"] = 0.004 * bars["close"]
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


def test_a_model_that_cannot_predict_fails_the_backtest(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson Q32"""

    def broken(self: TrainedModel, *_: Any) -> Any:
        raise RuntimeError("weights are corrupt")

    monkeypatch.setattr(TrainedModel, "predict", broken)
    with pytest.raises(RuntimeError, match="weights are corrupt"):
        run_backtest(AFTER, new_job())


def test_a_report_that_cannot_be_drawn_costs_no_result(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson Q16"""

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a new library")

    monkeypatch.setattr(report, "build", broken)
    job = new_job()
    result = run_backtest(AFTER, job)
    assert result["metrics"]["final_equity"] > 0
    assert "no_report" in {warning["code"] for warning in result["warnings"]}
    assert "trades.csv" in job.artifacts
    assert any("The report could not be drawn" in line for line in job.lines)


def test_a_test_on_what_the_model_has_learned_from_is_called_so(new_job: NewJob) -> None:
    result = run_backtest(BacktestParameters(symbol="AAA"), new_job())
    assert result["warnings"][0]["code"] == "overlap"
    assert TRAINED_UNTIL[:4] in result["warnings"][0]["message"]


def test_dearer_trading_is_worse_and_shown(new_job: NewJob) -> None:
    cheap = run_backtest(AFTER.model_copy(update={"commission": 0.0, "slippage": 0.0}), new_job())
    dear = run_backtest(AFTER.model_copy(update={"commission": 0.01}), new_job())
    assert dear["metrics"]["total_return"] < cheap["metrics"]["total_return"]
    assert dear["audit"]["sensitivity"]["doubled_costs"]["total_return"] < dear["metrics"]["total_return"]
    assert dear["metrics"]["fees"] > 0 == cheap["metrics"]["fees"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"timeframe": "1h"}, "The strategy's bars are 1d"),
        ({"symbol": "ZZZ"}, "There are no 1d bars of ZZZ"),
        ({"start_date": "2031-01-01"}, "There are no 1d bars of AAA between 2031-01-01 and the end"),
        ({"start_date": "2017-07-03", "end_date": "2016-01-01"}, "between 2017-07-03 and 2016-01-01"),
        ({"strategy_yaml": "name: ["}, "line 1"),
        ({"strategy_yaml": STRATEGY.replace("period: 7", "period: 9")}, "model"),
        ({"start_date": "2015-01-01", "end_date": "2015-01-06"}, "none of the"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_backtested_is_refused_in_a_sentence(
    new_job: NewJob, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        run_backtest(BacktestParameters(**{"symbol": "AAA", **parameters}), new_job())


def test_a_backtest_without_a_model_is_refused(new_job: NewJob) -> None:
    job = new_job()
    job.inputs = {name: path for name, path in job.inputs.items() if not name.startswith("model/")}
    with pytest.raises(InvalidInput, match="needs a trained model"):
        run_backtest(AFTER, job)


def test_constant_prices_give_a_plain_result(new_job: NewJob) -> None:
    bars = synthetic(0)
    bars[["open", "high", "low", "close"]] = 50.0
    result = run_backtest(AFTER, new_job(bars))
    assert result["metrics"]["sharpe"] is None or result["metrics"]["sharpe"] <= 0
    assert result["benchmark"]["total_return"] < 0, "costs alone"


def test_every_promised_metric_is_there_beside_its_basis(new_job: NewJob) -> None:
    """lesson Q1"""
    metrics = run_backtest(AFTER, new_job())["metrics"]
    assert set(metrics) == {*KEYS, "bars_per_year", "sharpe_per_bar"}
