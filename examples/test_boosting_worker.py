"""The tests of boosting_worker.py, on bars as KTRDR stores them."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
from boosting_worker import BoostingWorker

if TYPE_CHECKING:
    from worker_agent.testing.running import Running

DAYS = 600


def bars(path: Path, days: int = DAYS) -> Path:
    """Write daily bars whose price rises and falls in turns, with noise."""
    noise = np.random.default_rng(1).normal(0, 0.001, days)
    close = 100 * np.exp(np.cumsum(np.where(np.arange(days) % 2 == 0, 0.01, -0.01) + noise))
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    time = pd.date_range("2020-01-01", periods=days, freq="D", tz="UTC").as_unit("ns")
    pd.DataFrame({"time": time, **prices, "volume": 1.0}).to_parquet(path)
    return path


def test_it_learns_a_pattern_and_its_model_predicts_the_same(running: "Running", tmp_path: Path) -> None:
    parameters = {"symbol": "TURNS", "lags": 3, "rounds": 20}
    run = running(BoostingWorker).run(parameters, inputs={"symbol": bars(tmp_path / "bars.parquet")})
    assert run.result["test_accuracy"] > 0.95
    assert run.result["always_the_more_frequent"] < 0.6
    assert {point.name for point in run.metrics} == {"train_accuracy", "test_accuracy"}
    table = pd.read_csv(io.BytesIO(run.artifacts["predictions.csv"]))
    assert len(table) == run.result["test_bars"]
    model = joblib.load(io.BytesIO(run.artifacts["model.joblib"]))
    last = pd.DataFrame({"return_0": [0.01], "return_1": [-0.01], "return_2": [0.01]})
    assert model.predict(last).tolist() == [False]


def test_too_few_bars_are_an_error_of_the_user(running: "Running", tmp_path: Path) -> None:
    run = running(BoostingWorker).run(
        {"symbol": "NEW"}, inputs={"symbol": bars(tmp_path / "bars.parquet", 30)}
    )
    assert run.error == "NEW has too few daily bars to train on: 30."
