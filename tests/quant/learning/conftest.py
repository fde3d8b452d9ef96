"""Seeded bars of two symbols, and a job that records its calls."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workers.market_data.bars import write_bars

STRATEGY = """
name: test
version: "3.0"
training_data:
  symbols: {mode: multi_symbol, list: [AAA, BBB]}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  rsi_7: {type: rsi, period: 7, source: close}
  mom_5: {type: roc, period: 5, source: close}
fuzzy_sets:
  momentum:
    indicator: rsi_7
    low: [0, 0, 30, 50]
    middle: [30, 50, 70]
    high: [50, 70, 100, 100]
nn_inputs:
  - {fuzzy_set: momentum, timeframes: all}
  - {raw_indicator: mom_5, timeframes: all, normalization: zscore}
model:
  type: mlp
  architecture: {hidden_layers: [16], dropout: 0.1}
decisions:
  output_format: classification
training:
  labels: {source: forward_return, horizon: 3, threshold: 0.005}
  batch_size: 64
  epochs: 6
  learning_rate: 0.01
"""


def synthetic(seed: int, n: int = 900, persistence: float = 0.0) -> pd.DataFrame:
    """Return daily bars; with `persistence`, a return repeats part of the previous one and is predictable."""
    generator = np.random.default_rng(seed)
    returns = generator.normal(0, 0.012, n)
    for t in range(1, n):
        returns[t] += persistence * returns[t - 1]
    close = 100 * np.exp(np.cumsum(returns))
    open_ = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.004,
            "low": np.minimum(open_, close) * 0.996,
            "close": close,
            "volume": generator.uniform(1e5, 2e5, n),
        },
        index=pd.bdate_range("2015-01-01", periods=n, tz="UTC", name="time").as_unit("ns"),
    )


class RecordedJob:
    def __init__(self, inputs: Mapping[str, Path]) -> None:
        self.inputs = inputs
        self.resume: Any = None
        self.metrics: list[tuple[str, int, float]] = []
        self.logs: list[str] = []
        self.checkpoints: list[tuple[int, dict[str, bytes]]] = []
        self.artifacts: dict[str, bytes] = {}
        self.cancel_after: int | None = None
        """Epoch after which cancellation is requested."""

    @property
    def cancelled(self) -> bool:
        return self.cancel_after is not None and self.metrics[-1][1] >= self.cancel_after

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        assert 0 <= percentage <= 100

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.append((name, step, value))

    def log(self, line: str, level: str = "info") -> None:
        self.logs.append(line)

    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None:
        self.checkpoints.append((step, dict(files)))

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content


@pytest.fixture(scope="session")
def bar_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("bars")
    files = {}
    for number, symbol in enumerate(("AAA", "BBB")):
        path = directory / f"{symbol}.parquet"
        write_bars(synthetic(number, persistence=0.35), path)
        files[f"bars/{symbol}/1d.parquet"] = path
    return files


@pytest.fixture
def new_job(bar_files: dict[str, Path]) -> Callable[[], RecordedJob]:
    return lambda: RecordedJob(bar_files)
