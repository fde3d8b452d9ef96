"""Studies of rules: trials without training equal their backtests, and share the columns of their indicators."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quant_studies import EDGE, judge_returns, share_believed, similar_trials
from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import synthetic
from tests.quant.studies.conftest import StudyJob
from worker_agent.protocol import InvalidInput
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.market_data.bars import write_bars
from workers.strategy.grammar import RulesStrategy
from workers.studies import directions
from workers.studies.binding import BadPoint
from workers.studies.columns import ColumnCache
from workers.studies.messages import (
    BATCH_FILES,
    EVIDENCE_FILE,
    BatchFiles,
    BatchParameters,
    BatchResult,
    Holdout,
    ReportParameters,
    ReportResult,
    Trial,
    Verdict,
)
from workers.studies.report import run_report
from workers.studies.run import bind_study, run_batch
from workers.studies.trial_strategies import TrialStrategies

Files = dict[str, Path]

STRATEGY = """
name: reversion
version: "3.0"
training_data:
  symbols: {mode: single, symbol: AAA}
  timeframes: {mode: multi_timeframe, list: [1d, 1w], base_timeframe: 1d}
indicators:
  rsi: {type: rsi, period: 7}
  average: {type: sma, period: 30}
  gap: {type: expression, expression: close / average - 1}
constants: {entry: 35}
model: {type: rules}
decisions: {long: "rsi < entry and close@1w > 0", exit_long: rsi > 60, short: gap > 0.05, exit_short: gap < 0}
"""
STUDY = """
study: "1.0"
name: reversion
search:
  method: halton
  trials: 500
  parameters:
    /indicators/rsi/period: {range: [3, 20]}
    /indicators/average/period: {range: [10, 60], step: 10}
    /constants/entry: {range: [20.0, 45.0]}
    /backtest/stop_loss: {choices: [null, 0.05]}
"""


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("rules") / "AAA.parquet"
    write_bars(synthetic(0, persistence=0.35), path)
    return {"bars/AAA/1d.parquet": path}


COMMON: dict[str, Any] = {
    "strategy_yaml": STRATEGY, "study_yaml": STUDY, "kind": "rules", "symbols": ("AAA",), "end_date": date(2017, 12, 31)
}  # fmt: skip


def run(files: Files, numbers: range, **changes: Any) -> tuple[BatchResult, StudyJob]:
    space = bind_study(STUDY, STRATEGY).space
    trials = tuple(Trial(number=number, point=space.point(number)) for number in numbers)
    job = StudyJob(files)
    parameters = BatchParameters.model_validate(COMMON | {"trials": trials} | changes)
    return BatchResult.model_validate(run_batch(parameters, job)), job


def test_a_trial_of_rules_equals_its_backtest(bars: Files) -> None:
    result, _ = run(bars, range(12), start_date=date(2016, 1, 1))
    bound = bind_study(STUDY, STRATEGY)
    for number in (0, 4, 11):
        point = bound.space.point(number)
        parameters = BacktestParameters(
            symbol="AAA",
            strategy_yaml=bound.strategy_of(point).text,
            start_date=date(2016, 1, 1),
            end_date=COMMON["end_date"],
            **bound.settings_of(point).model_dump(exclude_none=True),
        )
        metrics = run_backtest(parameters, BacktestJob(bars))["metrics"]
        assert metrics["trades"] > 0
        for name in ("sharpe", "total_return", "max_drawdown", "trades"):
            assert result.scores[name][number] == metrics[name]


def test_indicators_are_computed_once_for_all_trials(bars: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[ColumnCache] = []

    class Watched(ColumnCache):
        def __init__(self) -> None:
            super().__init__()
            caches.append(self)

    monkeypatch.setattr(directions, "ColumnCache", Watched)
    whole, whole_job = run(bars, range(60))
    # 18 periods of the oscillator and 6 of the average.
    assert caches[0].misses <= 24 + 4  # two threads may compute the same column at once
    parts = [run(bars, range(first, first + 15)) for first in range(0, 60, 15)]
    assert whole.value == [value for part, _ in parts for value in part.value]
    moments = b"".join(job.artifacts["moments.npy"][128:] for _, job in parts)
    assert moments == whole_job.artifacts["moments.npy"][128:]


def test_a_study_of_rules_is_judged(bars: Files, tmp_path: Path) -> None:
    _, job = run(bars, range(80))
    files = dict(bars)
    for name in (*BATCH_FILES, EVIDENCE_FILE):
        files[f"batch-0/{name}"] = tmp_path / name
        files[f"batch-0/{name}"].write_bytes(job.artifacts[name])
    parameters = COMMON | {
        "study": "study-2", "batches": [BatchFiles(name="batch-0")], "holdout": Holdout(start_date=date(2018, 1, 1))
    }  # fmt: skip
    report_job = StudyJob(files)
    result = ReportResult.model_validate(run_report(ReportParameters.model_validate(parameters), report_job))
    assert not result.warnings
    assert result.figures.holdout_sharpe is not None
    content = json.loads(report_job.artifacts["report.json"])
    assert len(content["walk_forward"]["windows"]) == 5
    assert content["paths"]["fan"]["median"]


@pytest.mark.parametrize(
    "point",
    [
        {"/indicators/rsi/period": 11, "/indicators/average/period": 44, "/backtest/stop_loss": 0.1},
        {"/indicators/average/type": "ema"},
        {"/constants/entry": 20.0, "/indicators/rsi/period": 5},
        {"/indicators/gap/expression": "close / open - 1"},
        {"/backtest/stop_loss": 0.1},
    ],
    ids=lambda point: next(iter(point)),
)
def test_a_strategy_that_is_not_parsed_again_equals_one_that_is(point: dict[str, Any]) -> None:
    bound = bind_study(STUDY, STRATEGY)
    short, full = TrialStrategies(bound).strategy_of(point), bound.strategy_of(point)
    assert isinstance(short, RulesStrategy)
    assert isinstance(full, RulesStrategy)
    assert short.model_dump() == full.model_dump()
    assert (short.features, short.conditions) == (full.features, full.conditions)


def test_an_invalid_parameter_is_refused_without_parsing_again() -> None:
    with pytest.raises(BadPoint, match="period"):
        TrialStrategies(bind_study(STUDY, STRATEGY)).strategy_of({"/indicators/rsi/period": -1})


def test_a_study_of_another_kind_is_refused(bars: Files) -> None:
    with pytest.raises(InvalidInput, match="of kind rules, not decisions"):
        run(bars, range(1), kind="decisions")


def test_noise_is_never_believed_and_an_edge_on_a_plateau_usually_is() -> None:
    """`benchmarks.quant_studies` measures 200 studies of each."""
    assert share_believed(8, edge=0.0, similar=True) == 0.0
    assert share_believed(4, edge=0.0, similar=False) == 0.0
    assert share_believed(8, edge=EDGE, similar=True) >= 0.7
    strong = similar_trials(np.random.default_rng(0), edge=3.0)
    assert judge_returns(strong, 0) is Verdict.BELIEVED
