"""Warms up the process from which jobs are forked: a training and backtests on synthetic bars, but without learning.

Imported tables, compiled kernels, templates and version numbers then are in the memory of every job; without them a job of
the demo's size spends most of its processor time on loading. The backward pass is left out, because the threads
of autograd do not survive a fork, and no other step leaves a thread.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from workers.market_data.bars import write_bars
from workers.market_data.exchanges import find_exchange
from workers.market_data.warm import warm_up_readings
from workers.provenance import code_version, package_versions

SYMBOL, TIMEFRAME, CALENDAR = "WARM", "1d", "XNYS"
BARS = 500
FIRST_DAY, LAST_DAY = "2018-01-01", "2020-12-31"
STRATEGY = """
name: warm_up
version: "3.0"
training_data:
  symbols: {mode: single, symbol: WARM}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  rsi_14: {type: rsi, period: 14, source: close}
  stochastic_14: {type: stochastic, k_period: 14, d_period: 3, smooth_k: 3}
  distance_20: {type: distancefromma, period: 20, ma_type: ema}
  adx_14: {type: adx, period: 14}
  volatility_20: {type: realizedvolatility, period: 20}
fuzzy_sets:
  momentum: {indicator: rsi_14, low: [0, 0, 25, 45], middle: [30, 50, 70], high: [55, 75, 100, 100]}
  place: {indicator: stochastic_14.k, low: [0, 0, 15, 40], middle: [20, 50, 80], high: [60, 85, 100, 100]}
  stretch: {indicator: distance_20, near: {type: gaussian, parameters: [0, 4]}}
  trend: {indicator: adx_14.adx, weak: [0, 0, 12, 25], strong: [15, 30, 100, 100]}
  turbulence: {indicator: volatility_20, calm: [0, 0, 1, 2], wild: [1, 4, 100, 100]}
nn_inputs:
  - {fuzzy_set: momentum, timeframes: all}
  - {fuzzy_set: place, timeframes: all}
  - {fuzzy_set: stretch, timeframes: all}
  - {fuzzy_set: trend, timeframes: all}
  - {fuzzy_set: turbulence, timeframes: all}
model: {type: mlp, architecture: {hidden_layers: [8], activation: relu, dropout: 0.2}}
decisions: {output_format: classification, confidence_threshold: 0.34, allow_short: true}
training:
  method: supervised
  labels: {source: triple_barrier, pt_multiplier: 2.0, sl_multiplier: 2.0, max_holding_period: 10, vol_span: 20, vol_method: atr}
  epochs: 1
"""
RULES = """
name: warm_up
version: "3.0"
training_data:
  symbols: {mode: single, symbol: WARM}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  rsi_14: {type: rsi, period: 14, source: close}
model: {type: rules}
decisions:
  long: crosses_above(close, mean(close, 20)) and rsi_14 < 70
  exit_long: close < highest(high, 20) - 2 * std(close, 20) or close < shift(lowest(low, 10), 1)
"""


@dataclass(slots=True)
class Rehearsal:
    """A job that nobody reads: its artifacts become files, by name."""

    directory: Path
    inputs: Mapping[str, Path]
    resume: None = None
    cancelled: bool = False
    artifacts: dict[str, Path] = field(default_factory=dict)

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        """Ignore it."""

    def metric(self, name: str, step: int, value: float) -> None:
        """Ignore it."""

    def log(self, line: str, level: str = "info") -> None:
        """Ignore it."""

    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None:
        """Ignore it."""

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = self.directory / name
        self.artifacts[name].write_bytes(content)


def warm_up() -> Iterator[None]:
    """Warm up for imports, previews, backtests of rules and, with torch, for trainings and their backtests."""
    warm_up_readings()
    yield
    code_version()
    package_versions()
    yield
    from workers.backtesting.backtest_parameters import BacktestParameters
    from workers.backtesting.backtest_pipeline import run_backtest

    with tempfile.TemporaryDirectory(prefix="ktrdr-") as name:
        directory = Path(name)
        write_bars(synthetic_bars(), directory / "bars.parquet")
        inputs = {f"bars/{SYMBOL}/{TIMEFRAME}.parquet": directory / "bars.parquet"}
        run_backtest(BacktestParameters(symbol=SYMBOL, strategy_yaml=RULES), Rehearsal(directory, inputs))
        yield
        from workers import rehearsals

        training = Rehearsal(directory, inputs)
        rehearsals.train(STRATEGY, training)
        yield
        model = {f"model/{file}": path for file, path in training.artifacts.items()}
        rehearsals.backtest(SYMBOL, TIMEFRAME, Rehearsal(directory, inputs | model))
    yield


def synthetic_bars() -> pd.DataFrame:
    """Return daily bars on the sessions of an exchange: a random walk."""
    exchange = find_exchange(CALENDAR)
    assert exchange is not None, "the table contains the major exchanges"
    sessions = exchange.between(pd.Timestamp(FIRST_DAY).value, pd.Timestamp(LAST_DAY).value)
    random = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, BARS)))
    opened = np.append(close[0], close[:-1])
    index = pd.DatetimeIndex(sessions.days[:BARS], tz="UTC", name="time")
    frame = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.01,
        "low": np.minimum(opened, close) * 0.99,
        "close": close,
        "volume": np.full(BARS, 1e6),
    }
    bars = pd.DataFrame(frame, index=index)
    bars.attrs["calendar"] = CALENDAR
    return bars
