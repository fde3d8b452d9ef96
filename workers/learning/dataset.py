"""Build the rows to learn from: inputs and labels of all symbols; each row belongs to one symbol."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning.labels import make_labels
from workers.learning.segments import segment_numbers
from workers.learning.splits import Split, purged_split
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.features import build_features
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.sections.labels import label_horizon
from workers.strategy.sections.model import sequence_length

Floats = NDArray[np.float64]


class NothingToLearn(InvalidInput):
    """No bar has both inputs and a label; use more data, or a shorter warm-up or label horizon."""


@dataclass(frozen=True, slots=True)
class Dataset:
    features: Floats
    """float64[rows, inputs], unscaled, one symbol after the other, each in order of time."""
    bar_time: NDArray[np.int64]
    """int64[rows]: open of the bar of each of `features`, nanoseconds since 1970."""
    rows_of_symbol: dict[str, slice]
    """The part of `features` that belongs to each symbol."""
    row: NDArray[np.int64]
    """int64[n]: positions in `features` of the rows with a label and, for sequences, a complete window."""
    label: Floats
    """float64[n]: -1, 0, 1, or a return."""
    weight: Floats
    """float64[n]: relative weight of the row."""
    time: NDArray[np.int64]
    """int64[n]: open of the row's bar, nanoseconds since 1970."""
    end: NDArray[np.int64]
    """int64[n]: open of the last bar that the label depends on, including the bar of the entry."""
    symbol: NDArray[np.int64]
    """int64[n]: position in `symbols`."""
    symbols: tuple[str, ...]
    left_out: dict[str, dict[str, int]]
    """By symbol: number of bars left out, by reason."""

    def split(self, strategy: TrainedStrategy) -> Split:
        """Split by time across all symbols, purged by the label's window and embargoed. Raises TooShort."""
        config = strategy.training.data_split
        embargo = label_horizon(strategy.training.labels) if config.embargo is None else config.embargo
        return purged_split(self.time, self.end, (config.train, config.validation, config.test), embargo)


def build_dataset(
    strategy: TrainedStrategy, bars: Mapping[str, Mapping[str, pd.DataFrame]], start: date | None = None
) -> Dataset:
    """Build the rows of `bars` (symbol -> timeframe -> bars); those before `start` (UTC) only warm up indicators.

    Raises InvalidInput if a symbol has no row or nothing is left.
    """
    parts = [_symbol_part(strategy, symbol, frames, start) for symbol, frames in bars.items()]
    offsets = np.cumsum([0, *(len(part.features) for part in parts)])
    dataset = Dataset(
        features=np.concatenate([part.features for part in parts]),
        bar_time=np.concatenate([part.bar_time for part in parts]),
        rows_of_symbol={
            symbol: slice(int(start), int(stop))
            for symbol, start, stop in zip(bars, offsets[:-1], offsets[1:], strict=True)
        },
        row=np.concatenate([part.row + offset for part, offset in zip(parts, offsets[:-1], strict=True)]),
        label=np.concatenate([part.label for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        time=np.concatenate([part.time for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        symbol=np.concatenate([np.full(len(part.row), i) for i, part in enumerate(parts)]),
        symbols=tuple(bars),
        left_out={symbol: part.left_out for symbol, part in zip(bars, parts, strict=True)},
    )
    if len(dataset.row) == 0:
        raise NothingToLearn
    return dataset


@dataclass(frozen=True, slots=True)
class _SymbolPart:
    features: Floats
    bar_time: NDArray[np.int64]
    row: NDArray[np.int64]
    label: Floats
    weight: Floats
    time: NDArray[np.int64]
    end: NDArray[np.int64]
    left_out: dict[str, int]


def _symbol_part(
    strategy: TrainedStrategy, symbol: str, frames: Mapping[str, pd.DataFrame], start: date | None
) -> _SymbolPart:
    base = frames[strategy.base_timeframe]
    try:
        features = build_features(strategy, frames)
    except InvalidInput as error:
        raise InvalidInput(f"{symbol}: {error}") from error
    labels = make_labels(
        base, strategy.training.labels, strategy.base_timeframe, classification=strategy.is_classification
    )
    index = pd.DatetimeIndex(base.index)
    opens = unix_nanoseconds(index)
    position = np.searchsorted(opens, unix_nanoseconds(pd.DatetimeIndex(features.index)))
    complete = run_lengths(position, segment_numbers(index, strategy.base_timeframe)) >= sequence_length(
        strategy.model
    )
    labelled = ~np.isnan(labels.value[position])
    first = 0 if start is None else int(index.searchsorted(pd.Timestamp(start, tz="UTC")))
    inside = position >= first
    row = np.flatnonzero(inside & complete & labelled)
    at = position[row]
    # One bar more than the label's window: a decision at the close is filled at the next open.
    end = np.minimum(labels.end[at] + 1, len(opens) - 1)
    warm_from = max(first, int(position[0]))
    left_out = {
        "before_start": first,
        "warm_up": warm_from - first,
        "gaps": len(opens) - warm_from - int(inside.sum()),
        "without_window": int((inside & ~complete).sum()),
        "without_label": int((inside & complete & ~labelled).sum()),
    }
    return _SymbolPart(
        features.to_numpy(),
        opens[position],
        row,
        labels.value[at],
        labels.weight[at],
        opens[at],
        opens[end],
        left_out,
    )


def run_lengths(position: NDArray[np.intp], segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[rows]: the number of consecutive bars, without a gap, that end at each row."""
    if len(position) == 0:
        return np.empty(0, dtype=np.int64)
    broken = np.concatenate(([True], (np.diff(position) != 1) | (np.diff(segments[position]) != 0)))
    starts = np.flatnonzero(broken)
    lengths: NDArray[np.int64] = np.arange(len(position)) - starts[np.cumsum(broken) - 1] + 1
    return lengths
