"""From bars to what the network is trained on: features, labels, split, scales."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning.batches import Rows
from workers.learning.dataset import Dataset, build_dataset
from workers.learning.parameters import TrainingParameters
from workers.learning.scaling import Scaler, fit_scaler
from workers.learning.splits import PARTS, Split
from workers.market_data.bars import read_bars
from workers.strategy.grammar import Strategy

Floats = NDArray[np.float64]
Bars = Mapping[str, Mapping[str, pd.DataFrame]]
"""symbol -> timeframe -> bars"""


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that the network is trained on."""

    dataset: Dataset
    split: Split
    scaler: Scaler
    x: NDArray[np.float32]
    """`dataset.features`, scaled."""
    parts: dict[str, Rows]
    label_mean: float
    label_scale: float
    """A regression's label is learned as `(label - label_mean) / label_scale`; 0 and 1 for classes."""

    def described(self) -> str:
        counts = ", ".join(f"{len(getattr(self.split, name)):,} {name}" for name in PARTS)
        return f"rows: {counts}; {self.split.purged:,} purged; {self.x.shape[1]} inputs"


def load_bars(
    strategy: Strategy, parameters: TrainingParameters, inputs: Mapping[str, Path]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Symbol -> timeframe -> bars up to the end asked for. Raises InvalidInput.

    What lies before the start warms the indicators up, as it does in a backtest: with fewer bars before it, the same
    bar would have other inputs there than it had here.
    """
    start = first_day(strategy, parameters)
    end = parameters.end_date or strategy.training_data.end
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for symbol in parameters.symbols or strategy.symbols:
        paths = {
            timeframe: inputs.get(f"bars/{symbol}/{timeframe}.parquet") for timeframe in strategy.timeframes
        }
        if paths[strategy.base_timeframe] is None:
            raise InvalidInput(f"There are no {strategy.base_timeframe} bars of {symbol}.")
        frames = {
            timeframe: _until(read_bars(path), end) for timeframe, path in paths.items() if path is not None
        }
        base = frames[strategy.base_timeframe]
        if base.empty or (start is not None and base.index[-1] < pd.Timestamp(start, tz="UTC")):
            raise InvalidInput(
                f"There are no bars of {symbol} between {start or 'the beginning'} and {end or 'the end'}."
            )
        found[symbol] = {timeframe: frame for timeframe, frame in frames.items() if len(frame)}
    return found


def first_day(strategy: Strategy, parameters: TrainingParameters) -> date | None:
    """First day (UTC) whose bars are rows; None where all of them may be."""
    return parameters.start_date or strategy.training_data.start


def _until(bars: pd.DataFrame, end: date | None) -> pd.DataFrame:
    return bars if end is None else bars[bars.index < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1)]


def prepare(strategy: Strategy, bars: Bars, start: date | None = None) -> Material:
    """Rows are bars from `start` on. Raises InvalidInput where the data leave nothing to learn."""
    dataset = build_dataset(strategy, bars, start)
    split = dataset.split(strategy)
    scaler = fit_scaler(strategy, dataset.features[dataset.row[split.train]])
    if strategy.is_classification and len(np.unique(dataset.label[split.train])) < 2:
        raise InvalidInput(
            "Every row of the training part has the same label: there is nothing to tell apart."
        )
    mean, scale = _label_scale(strategy, dataset.label[split.train])
    weight = dataset.weight / dataset.weight[split.train].mean()
    parts = {}
    for name in PARTS:
        chosen = getattr(split, name)
        label = dataset.label[chosen]
        classes, standardised = (label + 1).astype(np.int64), ((label - mean) / scale).astype(np.float32)
        y = classes if strategy.is_classification else standardised
        parts[name] = Rows(dataset.row[chosen], y, weight[chosen].astype(np.float32))
    return Material(dataset, split, scaler, scaler.apply(dataset.features), parts, mean, scale)


def _label_scale(strategy: Strategy, label: Floats) -> tuple[float, float]:
    """A forecast is learned in standard deviations of the training part's label."""
    if strategy.is_classification:
        return 0.0, 1.0
    scale = float(label.std())
    if scale <= 0:
        raise InvalidInput(
            "Every row of the training part has the same return: there is nothing to forecast."
        )
    return float(label.mean()), scale
