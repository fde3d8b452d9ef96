"""Backtest a trained model from files to reports, including the audits of every run, after one warm-up run.

62,500 hourly bars, one core. Targets: 100,000 bars a second with an MLP, 10,000 with an LSTM of 2 layers of 64 cells
with windows of 20 bars.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._figures import print_figure
from workers.backtesting.backtest_inputs import MODEL_DESCRIPTION, MODEL_WEIGHTS
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars

BARS = 62_500
TRAINED_ON = 4_000
ROUNDS = 3

STRATEGY = """
name: benchmark
version: "3.0"
training_data:
  symbols: {mode: single, symbol: AAA}
  timeframes: {mode: single, timeframe: 1h}
indicators:
  rsi_14: {type: rsi, period: 14, source: close}
  roc_5: {type: roc, period: 5, source: close}
  adx_14: {type: adx, period: 14}
  spread_50: {type: distancefromma, period: 50, ma_type: ema}
fuzzy_sets:
  momentum: {indicator: rsi_14, low: [0, 0, 30, 50], middle: [30, 50, 70], high: [50, 70, 100, 100]}
  strength: {indicator: adx_14.adx, weak: [0, 0, 12, 25], strong: [15, 30, 100, 100]}
nn_inputs:
  - {fuzzy_set: momentum, timeframes: all}
  - {fuzzy_set: strength, timeframes: all}
  - {raw_indicator: roc_5, timeframes: all, normalization: zscore}
  - {raw_indicator: spread_50, timeframes: all, normalization: zscore}
model: MODEL
decisions: {output_format: classification, confidence_threshold: 0.4}
training:
  labels: {source: forward_return, horizon: 5, threshold: 0.001}
  batch_size: 512
  epochs: 2
"""
MODELS = {
    "MLP 64x32": "{type: mlp, architecture: {hidden_layers: [64, 32]}}",
    "LSTM 64x2, window 20": "{type: lstm, architecture: {hidden_size: 64, num_layers: 2, sequence_length: 20}}",
}


@dataclass
class Job:
    """Keeps its artifacts in memory."""

    inputs: Mapping[str, Path]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    resume: Any = None
    cancelled: bool = False

    def progress(self, percentage: float, step: str | None = None, *_: object, **__: object) -> None: ...
    def metric(self, name: str, step: int, value: float) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None: ...
    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content


def hours() -> pd.DataFrame:
    random = np.random.default_rng(17)
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.002, BARS)))
    opens = np.append(100.0, close[:-1])
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999
    index = pd.date_range("2016-01-01", periods=BARS, freq="1h", tz="UTC", name="time").as_unit("ns")
    volume = random.uniform(1e3, 1e4, BARS)
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        bars = hours()
        write_bars(bars, folder / "bars.parquet")
        for name, model in MODELS.items():
            files = {"bars/AAA/1h.parquet": folder / "bars.parquet"}
            training = Job(files)
            until = bars.index[TRAINED_ON].date()
            run_training(
                TrainingParameters(strategy_yaml=STRATEGY.replace("MODEL", model), end_date=until), training
            )
            for part in (MODEL_WEIGHTS, MODEL_DESCRIPTION):
                files[part] = folder / Path(part).name
                files[part].write_bytes(training.artifacts[Path(part).name])
            run_backtest(BacktestParameters(symbol="AAA"), Job(files))
            seconds = min(backtest_seconds(files) for _ in range(ROUNDS))
            print_figure(f"backtest of a model, {name}", round(BARS / seconds), "bars/CPU s")


def backtest_seconds(files: Mapping[str, Path]) -> float:
    started = time.process_time()
    run_backtest(BacktestParameters(symbol="AAA"), Job(files))
    return time.process_time() - started


if __name__ == "__main__":
    main()
