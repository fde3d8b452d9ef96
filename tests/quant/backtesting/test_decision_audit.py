"""The audit of predictions and directions, for each type of model, with leaks in few rows and rounding in many."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import STRATEGY, RecordedJob, synthetic
from workers.backtesting import decisions
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning.model_files import TrainedModel
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars
from workers.strategy.lookahead import CUTS, LookAheadError

AFTER = BacktestParameters(symbol="AAA", start_date="2015-06-01")
NETWORKS = {
    "mlp": "type: mlp\n  architecture: {hidden_layers: [8]}",
    "lstm": "type: lstm\n  architecture: {hidden_size: 6, sequence_length: 7}",
    "gru": "type: gru\n  architecture: {hidden_size: 6, sequence_length: 3}",
    "tsk": "type: tsk\n  architecture: {rules: 4}",
}


def strategy_text(network: str, output_format: str) -> str:
    text = STRATEGY.replace(
        "type: mlp\n  architecture: {hidden_layers: [16], dropout: 0.1}", NETWORKS[network]
    )
    text = text.replace("epochs: 6", "epochs: 2").replace(
        "mode: multi_symbol, list: [AAA, BBB]", "mode: single, symbol: AAA"
    )
    if output_format == "regression":
        text = text.replace("output_format: classification", "output_format: regression")
        text = text.replace(", threshold: 0.005", "")
    return text


@pytest.fixture(
    scope="module", params=[(n, f) for n in NETWORKS for f in ("classification", "regression")], ids="-".join
)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained model of each type and output format, and the bars of its backtest."""
    directory = tmp_path_factory.mktemp("model")
    inputs = {"bars/AAA/1d.parquet": directory / "bars.parquet"}
    bars = synthetic(7, 1200, persistence=0.3)
    bars.attrs["calendar"] = "weekdays"
    write_bars(bars, inputs["bars/AAA/1d.parquet"])
    job = RecordedJob(inputs)
    run_training(TrainingParameters(strategy_yaml=strategy_text(*request.param)), job)
    for name in ("model.safetensors", "model.json"):
        inputs[f"model/{name}"] = directory / name
        inputs[f"model/{name}"].write_bytes(job.artifacts[name])
    return inputs


def run(files: dict[str, Path]) -> dict[str, Any]:
    return dict(run_backtest(AFTER, BacktestJob(files))["audit"]["look_ahead"])


def test_an_honest_model_passes_at_hundreds_of_bars(files: dict[str, Path]) -> None:
    audit = run(files)
    assert audit["passed"] is True
    assert audit["cuts"] >= CUTS
    assert audit["features"]["cuts"] >= CUTS


def test_forecasts_near_zero_are_compared_by_the_scale_of_the_label(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eighth of float32's epsilon in a network's output is not a leak, however small the first forecasts are."""
    original = TrainedModel._predictions

    def predictions_near_zero(self: TrainedModel, out: torch.Tensor) -> np.ndarray:
        predictions = original(self, out)
        if self.description.classification:
            return predictions
        noise = 1.5e-8 * self.description.label_scale
        return predictions * 1e-9 + noise * (np.arange(len(out)) % 3 + len(out) % 2)

    monkeypatch.setattr(TrainedModel, "_predictions", predictions_near_zero)
    assert run(files)["passed"] is True


def test_a_prediction_of_the_next_bar_in_a_row_of_a_hundred_fails_the_backtest(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainedModel.predict

    def predict(self: TrainedModel, features: pd.DataFrame, bars: pd.DatetimeIndex) -> np.ndarray:
        predictions = original(self, features, bars)
        leaky = predictions.copy()
        day = np.asarray(features.index.as_unit("s").astype("int64")) // 86_400
        rows = np.flatnonzero(day[:-1] * 2_654_435_761 % 1000 < 10)
        leaky[rows] = predictions[rows + 1]
        return leaky

    monkeypatch.setattr(TrainedModel, "predict", predict)
    with pytest.raises(LookAheadError, match=r"the prediction at .* changes when the bars after"):
        run(files)


def signal_by_digits(rules: Any, values: np.ndarray) -> np.ndarray:
    """A signal that changes from bar to bar, and depends on the prediction of its own bar only."""
    return ((values.reshape(len(values), -1)[:, 0] * 1e7).astype(np.int64) % 3 - 1).astype(np.int8)


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_a_direction_of_the_next_bar_fails_the_backtest(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(decisions, "signals", signal_by_digits)
    original = decisions.target_directions

    def leaky_directions(rules: Any, values: np.ndarray, *, allow_short: bool | None) -> np.ndarray:
        target = original(rules, values, allow_short=allow_short)
        leaks = np.flatnonzero(np.random.default_rng(1).random(len(target))[:-1] < share)
        changed = target.copy()
        changed[leaks] = target[leaks + 1]
        return changed

    monkeypatch.setattr(decisions, "target_directions", leaky_directions)
    with pytest.raises(LookAheadError, match=r"the target directions up to .* change"):
        run(files)
