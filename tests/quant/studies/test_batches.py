"""Batches of trials: the same bits in any batch, equal to a single backtest, and complete after any interruption."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import STRATEGY as TRAINED_STRATEGY
from tests.quant.studies.conftest import Saved, StudyJob
from worker_agent.protocol import InvalidInput
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.studies.messages import BatchParameters, BatchResult, Trial, TrialState
from workers.studies.run import bind_study, run_batch
from workers.studies.statistics.moments import block_moments, sharpes

Files = dict[str, Path]

STRATEGY = TRAINED_STRATEGY.replace(
    "  output_format: classification\n",
    "  output_format: classification\n  confidence_threshold: 0.4\n  filters: {min_signal_separation: 0}\n",
)
STUDY = """
study: "1.0"
name: thresholds
search:
  method: random
  trials: 200
  seed: 3
  parameters:
    /decisions/confidence_threshold: {range: [0.3, 0.6]}
    /decisions/filters/min_signal_separation: {choices: [0, 2, 5]}
    /backtest/stop_loss: {choices: [null, 0.02, 0.05]}
validation: {scheme: walk_forward, train: 200, test: 100}
"""


def batch(numbers: range, study: str = STUDY, **changes: Any) -> BatchParameters:
    bound = bind_study(study, STRATEGY)
    trials = tuple(Trial(number=number, point=bound.space.point(number)) for number in numbers)
    common = {
        "strategy_yaml": STRATEGY, "study_yaml": study, "kind": "decisions", "symbols": ("AAA",), "trials": trials
    }  # fmt: skip
    return BatchParameters.model_validate(common | changes)


def run(files: Files, parameters: BatchParameters, **options: Any) -> tuple[BatchResult, StudyJob]:
    job = StudyJob(files, **options)
    return BatchResult.model_validate(run_batch(parameters, job)), job


def array(content: bytes) -> NDArray[Any]:
    loaded: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return loaded


def without_times(result: BatchResult) -> dict[str, Any]:
    return result.model_dump(exclude={"cpu_ms", "kept", "stopped"})


def rows_of(result: BatchResult) -> list[tuple[Any, ...]]:
    columns = [result.number, result.state, result.value, *result.scores.values()]
    return list(zip(*columns, strict=True))


def test_a_trial_has_the_same_bits_in_any_batch(trained: Files) -> None:
    whole, whole_job = run(trained, batch(range(40)))
    parts = [run(trained, batch(range(first, first + 8))) for first in range(0, 40, 8)]
    assert rows_of(whole) == [row for part, _ in parts for row in rows_of(part)]
    moments = np.concatenate([array(job.artifacts["moments.npy"]) for _, job in parts])
    assert moments.tobytes() == array(whole_job.artifacts["moments.npy"]).tobytes()
    assert all(cpu_ms > 0 for cpu_ms in whole.cpu_ms)


def test_a_trial_equals_its_backtest(trained: Files) -> None:
    result, job = run(trained, batch(range(12), study=STUDY.split("validation")[0]))
    bound = bind_study(STUDY, STRATEGY)
    for position in (0, 5, 11):
        point = bound.space.point(position)
        settings = bound.settings_of(point).model_dump(exclude_none=True)
        parameters = BacktestParameters(symbol="AAA", strategy_yaml=bound.strategy_of(point).text, **settings)
        metrics = run_backtest(parameters, BacktestJob(trained))["metrics"]
        for name in ("sharpe", "total_return", "max_drawdown", "trades"):
            assert result.scores[name][position] == metrics[name]
        assert result.value[position] == metrics["sharpe"]
    moments = array(job.artifacts["moments.npy"])
    annual = sharpes(moments, result.days) * np.sqrt(metrics["periods_per_year"])
    np.testing.assert_allclose(annual, [value or 0.0 for value in result.scores["sharpe"]], atol=1e-9)


def test_a_cancelled_batch_continues_from_its_checkpoint(
    trained: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.studies.run.LOOK_EVERY_S", 0.0)
    whole, whole_job = run(trained, batch(range(30)))
    part, part_job = run(trained, batch(range(30)), stop_after=11)
    assert part.stopped == "cancelled"
    assert len(part.number) == 11
    rest, rest_job = run(trained, batch(range(30)), resume=Saved(part_job.checkpoints[-1]))
    assert without_times(rest) == without_times(whole)
    for name in ("moments.npy", "returns.npy", "evidence.npz"):
        assert rest_job.artifacts[name] == whole_job.artifacts[name]


def test_a_checkpoint_without_evidence_leaves_none(trained: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.studies.run.LOOK_EVERY_S", 0.0)
    _, part_job = run(trained, batch(range(3)), stop_after=1)
    del part_job.checkpoints[-1]["evidence.npz"]
    rest, rest_job = run(trained, batch(range(3)), resume=Saved(part_job.checkpoints[-1]))
    assert len(rest.number) == 3
    assert "evidence.npz" not in rest_job.artifacts


def test_a_trial_that_raises_is_a_failed_trial(trained: Files) -> None:
    parameters = batch(range(3))
    bad = Trial(number=7, point={"/decisions/confidence_threshold": 3.0})
    result, job = run(trained, parameters.model_copy(update={"trials": (*parameters.trials, bad)}))
    assert result.state == [TrialState.COMPLETED] * 3 + [TrialState.FAILED]
    assert result.value[3] is None
    assert "confidence_threshold" in result.errors["7"]
    assert np.isnan(array(job.artifacts["moments.npy"])[3]).all()
    table = pq.read_table(io.BytesIO(job.artifacts["trials.parquet"])).to_pylist()
    assert [row["is_kept"] for row in table] == [True, True, True, False]
    assert json.loads(table[0]["parameters"]) == dict(parameters.trials[0].point)


def test_the_value_is_the_mean_of_the_folds_minus_their_deviation(trained: Files) -> None:
    result, job = run(trained, batch(range(6)))
    table = pq.read_table(io.BytesIO(job.artifacts["trials.parquet"])).to_pylist()
    for row, value in zip(table, result.value, strict=True):
        folds = np.array([fold or 0.0 for fold in row["folds"]])
        assert len(folds) > 3
        assert value == pytest.approx(folds.mean() - folds.std(ddof=1), abs=1e-12)


def test_a_figure_below_at_least_leaves_no_value(trained: Files) -> None:
    study = STUDY + "objective: {metric: total_return, over: all, at_least: {trades: 100000}}\n"
    result, _ = run(trained, batch(range(3), study=study))
    assert result.value == [None] * 3
    assert result.state == [TrialState.COMPLETED] * 3


def test_the_best_trials_and_a_fixed_sample_keep_their_returns(trained: Files) -> None:
    result, job = run(trained, batch(range(100)))
    returns = array(job.artifacts["returns.npy"])
    assert returns.shape == (32, result.days)
    best = sorted(range(100), key=lambda n: -(result.value[n] or -np.inf))[:16]
    assert set(best) <= set(result.kept)
    moments = array(job.artifacts["moments.npy"])[result.kept]
    np.testing.assert_allclose(block_moments(returns), moments, atol=1e-5)


def test_several_symbols_are_one_portfolio_of_equal_parts(trained: Files) -> None:
    parts = [
        array(run(trained, batch(range(1), symbols=(s,)))[1].artifacts["returns.npy"]) for s in ("AAA", "BBB")
    ]
    both = array(run(trained, batch(range(1), symbols=("AAA", "BBB")))[1].artifacts["returns.npy"])
    np.testing.assert_allclose(both, (parts[0] + parts[1]) / 2, atol=1e-7)


def test_a_strategy_of_another_model_is_refused(trained: Files) -> None:
    other = STRATEGY.replace("period: 7", "period: 21")
    assert other != STRATEGY
    with pytest.raises(InvalidInput, match="model"):
        run(trained, batch(range(2), strategy_yaml=other))
