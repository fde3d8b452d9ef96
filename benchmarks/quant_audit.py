"""Count false alarms and caught leaks of the look-ahead audit, and measure its share of training and backtest.

Honest runs: a training and a backtest of each model type, output format and kind of market, with one and two threads;
an odd seed adds a weekly or daily timeframe. Leaks are planted in inputs, indicators, scales and predictions, in
every row or in 1 % of the rows, by the hash of the bar's time. The default sizes take a minute; `--full` takes about
a quarter of an hour.
Targets: no false alarm in 500 honest runs, 100 of 100 dense leaks, 95 of 100 leaks in 1 % of the rows, at most 15 %
of the time.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from workers.backtesting import backtest_pipeline
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.learning import dataset, prepared_data
from workers.learning.model_files import TrainedModel
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars
from workers.market_data.sessions import Sessions
from workers.strategy import features, lookahead
from workers.strategy.lookahead import LookAheadError

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


@dataclass(slots=True)
class Tally:
    runs: int = 0
    reported: int = 0
    seconds: float = 0.0
    audit_seconds: float = 0.0

    def count(self, work: Callable[[], dict[str, Any]]) -> None:
        """Do one run, and count whether the audit reported a leak."""
        started = time.perf_counter()
        self.runs += 1
        try:
            result = work()
        except LookAheadError:
            self.reported += 1
            return
        self.seconds += time.perf_counter() - started
        self.audit_seconds += result["audit"]["look_ahead"]["seconds"]


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


def leaky_rows(times: pd.DatetimeIndex, share: float, seed: int) -> np.ndarray:
    """Choose rows by their time, so that the same bars leak in data of any length; never the last row."""
    hashes = pd.util.hash_array(np.asarray(times.as_unit("s").astype("int64")) + 7919 * seed)
    return np.flatnonzero(hashes[:-1] % 10_000 < share * 10_000)


def with_next_row(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    leaky = values.copy()
    leaky[rows] = values[rows + 1]
    return leaky


@contextmanager
def leak_in_inputs(share: float, seed: int) -> Iterator[None]:
    build = features.build_features

    def leaky_build(*arguments: Any) -> pd.DataFrame:
        honest = build(*arguments)
        leaky = with_next_row(honest.to_numpy(), leaky_rows(pd.DatetimeIndex(honest.index), share, seed))
        frame = pd.DataFrame(leaky, index=honest.index, columns=honest.columns)
        frame.attrs = honest.attrs
        return frame

    with (
        patch.object(dataset, "build_features", leaky_build),
        patch.object(backtest_pipeline, "build_features", leaky_build),
        patch.object(lookahead, "build_features", leaky_build),
    ):
        yield


@contextmanager
def leak_in_indicators(share: float, seed: int) -> Iterator[None]:
    compute = features.compute_unchecked

    def leaky_compute(name: str, bars: pd.DataFrame, parameters: Any) -> dict[str, np.ndarray]:
        rows = leaky_rows(pd.DatetimeIndex(bars.index), share, seed)
        return {output: with_next_row(line, rows) for output, line in compute(name, bars, parameters).items()}

    with patch.object(features, "compute_unchecked", leaky_compute):
        yield


@contextmanager
def leak_in_predictions(share: float, seed: int) -> Iterator[None]:
    predict = TrainedModel.predict

    def leaky_predict(self: TrainedModel, inputs: pd.DataFrame, bars: Any = None) -> np.ndarray:
        return with_next_row(
            predict(self, inputs, bars), leaky_rows(pd.DatetimeIndex(inputs.index), share, seed)
        )

    with patch.object(TrainedModel, "predict", leaky_predict):
        yield


@contextmanager
def scales_of_all_rows() -> Iterator[None]:
    build, fit = prepared_data.build_dataset, prepared_data.fit_scaler
    known: list[dataset.Dataset] = []

    def remember(*arguments: Any) -> dataset.Dataset:
        known.append(build(*arguments))
        return known[-1]

    def fit_all(strategy: Any, _: np.ndarray) -> Any:
        return fit(strategy, known[-1].features)

    with (
        patch.object(prepared_data, "build_dataset", remember),
        patch.object(prepared_data, "fit_scaler", fit_all),
    ):
        yield


def cases(number: int) -> Iterator[Case]:
    grid = itertools.product(MARKETS, ("classification", "regression"), (1, 2), NETWORKS)
    for seed, (calendar, output_format, threads, network) in enumerate(
        itertools.islice(itertools.cycle(grid), number)
    ):
        yield Case(network, output_format, calendar, threads, seed + seed // 64)


def count_false_alarms(number: int) -> tuple[Tally, Tally]:
    trainings, backtests = Tally(), Tally()
    for case in cases(number):
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(case, Path(folder))
            trainings.count(workplace.train)
            backtests.count(workplace.backtest)
    return trainings, backtests


def count_caught(number: int, share: float) -> Tally:
    """Plant one leak per run, in turn in a training and in a backtest of an honest model."""
    tally = Tally()
    for case in cases(number):
        leaks = [
            (Workplace.train, partial(leak_in_inputs, share, case.seed)),
            (Workplace.backtest, partial(leak_in_inputs, share, case.seed)),
            (Workplace.train, partial(leak_in_indicators, share, case.seed)),
            (Workplace.backtest, partial(leak_in_predictions, share, case.seed)),
            (Workplace.train, scales_of_all_rows),
        ]
        run, leak = leaks[case.seed % (5 if share == 1.0 else 4)]
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(case, Path(folder))
            if run is Workplace.backtest:
                workplace.train()
            with leak():
                tally.count(partial(run, workplace))
    return tally


def show(benchmark: str, value: float, unit: str, **more: Any) -> None:
    print(json.dumps({"benchmark": benchmark, "value": value, "unit": unit, **more}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="500 honest runs and 100 leaks of each kind")
    runs, leaks = (250, 100) if parser.parse_args().full else (16, 20)
    count_false_alarms(1)
    trainings, backtests = count_false_alarms(runs)
    alarms = trainings.reported + backtests.reported
    show(f"false alarms of the audit in {trainings.runs + backtests.runs} honest runs", alarms, "runs")
    for name, tally in (("training", trainings), ("backtest", backtests)):
        share = tally.audit_seconds / tally.seconds
        show(f"share of the audit in a {name}, {BARS:,} bars", round(100 * share, 1), "%")
    for name, share in (("every row", 1.0), ("1 % of the rows", 0.01)):
        tally = count_caught(leaks, share)
        show(f"leaks in {name} caught, of {tally.runs}", tally.reported, "runs")


if __name__ == "__main__":
    main()
