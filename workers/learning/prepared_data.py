"""Prepare the data of a training, from bars to the network's inputs: features, labels, split, scales."""

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
from workers.learning.scaling import Scaler, fit_scaler
from workers.learning.splits import PARTS, Split
from workers.learning.training_parameters import TrainingParameters
from workers.market_data.bars import read_bars
from workers.strategy.grammar import TrainedStrategy

Floats = NDArray[np.float64]
Bars = Mapping[str, Mapping[str, pd.DataFrame]]
"""symbol -> key of a frame -> bars"""


@dataclass(frozen=True, slots=True)
class PreparedData:
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

    def summary(self) -> str:
        counts = ", ".join(f"{len(getattr(self.split, name)):,} {name}" for name in PARTS)
        return f"rows: {counts}; {self.split.purged:,} purged; {self.x.shape[1]} inputs"


def load_bars(
    strategy: TrainedStrategy, parameters: TrainingParameters, inputs: Mapping[str, Path]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Return symbol -> key of a frame -> bars up to the end of the period, sorted by symbol. Raises InvalidInput.

    The bars before the start warm the indicators up, as in a backtest: without them, the inputs of a bar would differ
    between training and backtest.
    """
    start = first_day(strategy, parameters)
    end = parameters.end_date or strategy.training_data.end
    bars: dict[str, dict[str, pd.DataFrame]] = {}
    for symbol in sorted(parameters.symbols or strategy.symbols):
        paths = {key: inputs.get(f"bars/{name}.parquet") for key, name in strategy.files_of(symbol).items()}
        if paths[strategy.base_timeframe] is None:
            raise InvalidInput(f"No {strategy.base_timeframe} bars of {symbol} found; import them first.")
        frames = {key: _until(read_bars(path), end) for key, path in paths.items() if path is not None}
        base = frames[strategy.base_timeframe]
        if base.empty or (start is not None and base.index[-1] < pd.Timestamp(start, tz="UTC")):
            raise InvalidInput(
                f"No bars of {symbol} found between {start or 'the beginning'} and {end or 'the end'}."
            )
        bars[symbol] = {key: frame for key, frame in frames.items() if len(frame)}
    return bars


def first_day(strategy: TrainedStrategy, parameters: TrainingParameters) -> date | None:
    """Return the first day (UTC) of the training period, None if unlimited; earlier bars only warm up."""
    return parameters.start_date or strategy.training_data.start


def _until(bars: pd.DataFrame, end: date | None) -> pd.DataFrame:
    return bars if end is None else bars[bars.index < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1)]


def prepare_data(strategy: TrainedStrategy, bars: Bars, start: date | None = None) -> PreparedData:
    """Prepare the bars from `start` on. Raises InvalidInput if there is nothing to learn from them."""
    dataset = build_dataset(strategy, bars, start)
    return prepare_split(strategy, dataset, dataset.split(strategy))


def prepare_split(strategy: TrainedStrategy, dataset: Dataset, split: Split) -> PreparedData:
    """Scale the dataset by its training rows. Raises InvalidInput if there is nothing to learn from them."""
    scaler = fit_scaler(strategy, dataset.features[dataset.row[split.train]])
    if strategy.is_classification and len(np.unique(dataset.label[split.train])) < 2:
        raise InvalidInput(
            "All rows of the training part have the same label; change the label settings or the period."
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
    return PreparedData(dataset, split, scaler, scaler.apply(dataset.features), parts, mean, scale)


def _label_scale(strategy: TrainedStrategy, label: Floats) -> tuple[float, float]:
    """Return (mean, scale): a forecast is learned in standard deviations of the training part's label."""
    if strategy.is_classification:
        return 0.0, 1.0
    scale = float(label.std())
    if scale <= 0:
        raise InvalidInput(
            "All rows of the training part have the same return; change the label settings or the period."
        )
    return float(label.mean()), scale
