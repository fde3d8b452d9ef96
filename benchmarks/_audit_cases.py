"""Honest runs for the benchmark of the audit: a model and a market, trained and backtested in a folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workers.backtesting import backtest_pipeline
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars
from workers.market_data.sessions import Sessions

BARS = 2500
EPOCHS = 4
NETWORKS = {
    "mlp": "{type: mlp, architecture: {hidden_layers: [32, 16]}, features: {lookback_periods: 1}}",
    "lstm": "{type: lstm, architecture: {hidden_size: 16, sequence_length: 12}}",
    "gru": "{type: gru, architecture: {hidden_size: 16, sequence_length: 6}}",
    "tsk": "{type: tsk, architecture: {rules: 8}, features: {scale_features: true}}",
}
MARKETS = {"XNYS": "1d", "fx": "1h", "24/7": "1h", "weekdays": "1d"}
"""Calendar and base timeframe of each kind of market."""
LONGER = {"1d": "1w", "1h": "1d"}
PRICES = {
    "XNYS": (120.0, 0.012, 2),
    "fx": (1.1, 0.0006, 5),
    "24/7": (31_000.0, 0.006, 1),
    "weekdays": (0.35, 0.02, 3),
}
"""First price, deviation of a return and decimals."""


@dataclass(frozen=True, slots=True)
class Case:
    """One honest run: the model and the market, drawn by `seed`."""

    network: str
    output_format: str
    calendar: str
    threads: int
    seed: int

    @property
    def strategy(self) -> str:
        base = MARKETS[self.calendar]
        frames = f"{{mode: multi_timeframe, list: [{base}, {LONGER[base]}], base_timeframe: {base}}}"
        timeframes = frames if self.seed % 2 else f"{{mode: single, timeframe: {base}}}"
        deviation = PRICES[self.calendar][1]
        threshold = f", threshold: {deviation / 2}" if self.output_format == "classification" else ""
        return f"""
name: audit
version: "3.0"
training_data:
  symbols: {{mode: single, symbol: XY}}
  timeframes: {timeframes}
indicators:
  rsi: {{type: rsi, period: 9}}
  roc: {{type: roc, period: 3}}
  macd: {{type: macd}}
  width: {{type: bollingerbandwidth, period: 12}}
  price: {{type: ema, period: 5}}
fuzzy_sets:
  momentum: {{indicator: rsi, low: [0, 0, 30, 50], middle: [30, 50, 70], high: [50, 70, 100, 100]}}
nn_inputs:
  - {{fuzzy_set: momentum, timeframes: all}}
  - {{raw_indicator: roc, timeframes: all, normalization: zscore}}
  - {{raw_indicator: macd.histogram, timeframes: [{base}], normalization: minmax}}
  - {{raw_indicator: width, timeframes: [{base}], normalization: zscore}}
  - {{raw_indicator: price, timeframes: [{base}]{", normalization: zscore" if self.network == "tsk" else ""}}}
model: {NETWORKS[self.network]}
decisions: {{output_format: {self.output_format}}}
training:
  labels: {{source: forward_return, horizon: 3{threshold}}}
  epochs: {EPOCHS}
  learning_rate: 0.005
"""

    @property
    def bars(self) -> pd.DataFrame:
        """Seeded random bars at the open times of the market."""
        random = np.random.default_rng(self.seed)
        first, deviation, decimals = PRICES[self.calendar]
        close = np.round(first * np.exp(np.cumsum(random.normal(0, deviation, BARS))), decimals)
        opens = np.append(close[:1], close[:-1])
        high = np.maximum(opens, close) * (1 + random.uniform(0, deviation / 2, BARS))
        low = np.minimum(opens, close) * (1 - random.uniform(0, deviation / 2, BARS))
        volume = random.integers(1_000, 9_000, BARS).astype(np.float64)
        columns = {"open": opens, "high": high, "low": low, "close": close, "volume": volume}
        bars = pd.DataFrame(columns, index=open_times(self.calendar, MARKETS[self.calendar]))
        bars.attrs["calendar"] = self.calendar
        return bars


def open_times(calendar: str, timeframe: str) -> pd.DatetimeIndex:
    start = pd.Timestamp("2008-01-02").value
    sessions = Sessions.covering(calendar, start, start + 11 * 366 * 86_400_000_000_000)
    if timeframe == "1d":
        times = sessions.days
    else:
        hour = 3_600_000_000_000
        times = np.arange(sessions.opens[0], sessions.closes[-1], hour)
        times = times[times >= sessions.opens[sessions.of_instants(times)]]
    return pd.DatetimeIndex(times[:BARS], tz="UTC", name="time")


@dataclass(slots=True)
class Job:
    """The inputs of a run, and the files that it stores."""

    inputs: Mapping[str, Path]
    resume: None = None
    cancelled: bool = False
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def progress(self, *_: Any, **__: Any) -> None: ...
    def metric(self, *_: Any, **__: Any) -> None: ...
    def log(self, *_: Any, **__: Any) -> None: ...
    def checkpoint(self, *_: Any, **__: Any) -> None: ...
    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content


class Workplace:
    """Trains and backtests one case in a folder of its own."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.files = {f"bars/XY/{MARKETS[case.calendar]}.parquet": folder / "bars.parquet"}
        self.folder = folder
        write_bars(case.bars, folder / "bars.parquet")

    def train(self) -> dict[str, Any]:
        torch.set_num_threads(self.case.threads)
        job = Job(self.files)
        result = run_training(TrainingParameters(strategy_yaml=self.case.strategy, seed=self.case.seed), job)
        for name in ("model.safetensors", "model.json"):
            self.files[f"model/{name}"] = self.folder / name
            self.files[f"model/{name}"].write_bytes(job.artifacts[name])
        return result

    def backtest(self) -> dict[str, Any]:
        return backtest_pipeline.run_backtest(BacktestParameters(symbol="XY"), Job(self.files))
