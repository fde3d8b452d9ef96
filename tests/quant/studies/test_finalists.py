"""Finalists of a study of trainings: their own folds, and the holdout as a promoted training and its backtest trade it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quant.studies.conftest import Saved, StudyJob
from tests.quant.studies.test_training_batches import STRATEGY, STUDY, bars
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import read_bars
from workers.strategy.document import write_document
from workers.studies.finalist import run_finalist
from workers.studies.messages import FinalistParameters, Holdout, Trial
from workers.studies.run import bind_study

__all__ = ["bars"]
TRIAL = Trial(number=2, point={"/training/learning_rate": 0.05})
SEED = 11


def dates(files: dict[str, Path]) -> tuple[date, date]:
    """Return the last day of the search, at three quarters of the bars, and the first day of the holdout."""
    index = read_bars(files["bars/AAA/1d.parquet"]).index
    at = 3 * len(index) // 4
    return index[at].date(), index[at + 1].date()


def parameters(files: dict[str, Path], study: str, *, holdout: bool = True) -> FinalistParameters:
    until, sealed = dates(files)
    return FinalistParameters(
        strategy_yaml=STRATEGY,
        study_yaml=study,
        symbols=("AAA",),
        end_date=until,
        seed=SEED,
        trial=TRIAL,
        holdout=Holdout(start_date=sealed) if holdout else None,
    )


def run(files: dict[str, Path], study: str, **options: Any) -> tuple[dict[str, Any], StudyJob]:
    job = StudyJob(files, **options)
    result = run_finalist(parameters(files, study), job)
    return result, job


@pytest.fixture(scope="module")
def on_holdout(bars: dict[str, Path]) -> dict[str, Any]:
    _, job = run(bars, STUDY)
    return dict(json.loads(job.artifacts["finalist.json"]))


def test_the_holdout_is_traded_as_the_promoted_training_trades_it(
    bars: dict[str, Path], on_holdout: dict[str, Any], tmp_path: Path
) -> None:
    until, sealed = dates(bars)
    promoted = write_document(bind_study(STUDY, STRATEGY).values_of(TRIAL.point))
    training = StudyJob(bars)
    request = TrainingParameters(strategy_yaml=promoted, symbols=("AAA",), end_date=until, seed=SEED)
    trained = run_training(request, training)
    files = dict(bars)
    for name in ("model.safetensors", "model.json"):
        files[f"model/{name}"] = tmp_path / name
        files[f"model/{name}"].write_bytes(training.artifacts[name])
    backtest = run_backtest(BacktestParameters(symbol="AAA", start_date=sealed), StudyJob(files))
    holdout = on_holdout["holdout"]
    assert on_holdout["validation"] is None
    assert holdout["model"] == trained["model"]["sha256"]
    for name in ("sharpe", "total_return", "max_drawdown", "trades"):
        assert holdout[name] == backtest["metrics"][name], name


def test_folds_of_its_own_give_paths_or_windows(bars: dict[str, Path], on_holdout: dict[str, Any]) -> None:
    scheme = "{scheme: cpcv, groups: 3, test_groups: 1}"
    result, job = run(bars, STUDY + f"finalists: {{count: 2, validation: {scheme}}}\n")
    report = json.loads(job.artifacts["finalist.json"])
    assert result["folds"] == len(report["validation"]["folds"]) == 3
    assert len(report["validation"]["paths"]["sharpes"]) == 1
    assert report["holdout"] == on_holdout["holdout"]
    scheme = "{scheme: walk_forward, train: 300, test: 120}"
    _, job = run(bars, STUDY + f"finalists: {{validation: {scheme}}}\n")
    windows = json.loads(job.artifacts["finalist.json"])["validation"]["walk_forward"]
    stitched = np.prod([1 + window["test_return"] for window in windows["windows"]])
    assert windows["curve"]["growth"][-1] == pytest.approx(stitched)


@pytest.mark.parametrize("looks", [2, 12])
def test_an_interrupted_finalist_ends_with_the_same_figures(
    bars: dict[str, Path], on_holdout: dict[str, Any], looks: int
) -> None:
    """Interrupted on its folds (3 folds of 3 epochs), and in the training for the holdout."""
    study = STUDY + "finalists: {validation: {scheme: purged_kfold, folds: 3}}\n"
    _, whole = run(bars, study)
    _, stopped = run(bars, study, stop_after=looks)
    assert "finalist.json" not in stopped.artifacts
    _, resumed = run(bars, study, resume=Saved(stopped.checkpoints[-1]))
    assert resumed.artifacts["finalist.json"] == whole.artifacts["finalist.json"]
