"""Compute the inputs of chosen bars from only the bars that each one can remember.

The windows of all chosen bars are stacked into one column and computed in one pass, so hundreds of them cost about as
much as a few computations of all bars. No window contains a bar after its own.
"""

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.bars import COLUMNS
from workers.market_data.timeframes import nanoseconds
from workers.strategy.catalog import Value
from workers.strategy.definition import Strategy
from workers.strategy.features import View, encode
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicators.columns import Columns, Floats
from workers.strategy.indicators.compute import compute_columns, read_columns
from workers.strategy.sections.model_inputs import Indicator

Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

MAX_STACKED_BARS = 1_000_000
"""Windows that do not fit are left out, evenly over time."""

_MEMORY: Mapping[str, float] = {
    "ema": 7, "dema": 5, "tema": 4, "kama": 16, "distancefromma": 7, "rsi": 10, "macd": 6.5, "fishertransform": 7,
    "adx": 7, "atr": 10, "natr": 10, "keltnerchannels": 13, "squeezeintensity": 10, "supertrend": 18,
    "parabolicsar": 60, "obv": math.inf, "adline": math.inf,
}  # fmt: skip
"""Bars that a value remembers, in multiples of the bars that it needs: recursive averages forget all but one part in
400,000 (13 time constants; 10 where the level of prices has no influence), sums since the first bar nothing. The others remember no more than they need."""
_SECONDS_A_DAY = 86_400


def inputs_from_windows(
    strategy: Strategy, views: Mapping[str, View], rows: Rows, lengthen: int = 1
) -> tuple[Floats, Flags]:
    """Return the inputs of the base bars numbered `rows` (increasing), and whether each was computed; [rows, inputs].

    `views` come from `build_views`; every row has all inputs in `build_features`. Each window is `lengthen` times
    as long as the memory of its indicator, or starts at the first bar.
    """
    present, lags = len(strategy.features), strategy.model.features.lookback_periods
    values = np.empty((len(rows), present * (lags + 1)))
    computed = np.empty(values.shape, dtype=np.bool_)
    bar_numbers = rows[:, None] - np.arange(lags + 1)  # [rows, lags + 1], newest first
    for (timeframe, name), columns in _columns_by_indicator(strategy).items():
        view, indicator = views[timeframe], strategy.indicators[name]
        position = bar_numbers if view.position is None else view.position[bar_numbers]
        memory = lengthen * _remembered_bars(indicator, timeframe)
        outputs, known = _outputs_from_windows(indicator, view.bars, position, memory)
        for column in columns:
            feature = strategy.features[column]
            encoded = encode(np.ascontiguousarray(outputs[feature.output]).ravel(), feature)
            values[:, column::present] = encoded.reshape(position.shape)
            computed[:, column::present] = known[:, None]
    return values, computed


def _columns_by_indicator(strategy: Strategy) -> dict[tuple[str, str], list[int]]:
    columns = defaultdict(list)
    for column, feature in enumerate(strategy.features):
        columns[feature.timeframe, feature.indicator].append(column)
    return columns


def _remembered_bars(indicator: Indicator, timeframe: str) -> float:
    """Return how many bars, its own included, determine a value."""
    parameters: dict[str, Value] = dict(indicator.parameters)
    needed = INDICATORS[indicator.type].warm_up_rows(parameters) + 1
    if indicator.type == "vwap" and not parameters["period"]:
        return _SECONDS_A_DAY * 1_000_000_000 // nanoseconds(timeframe) + 2
    return needed * _MEMORY.get(indicator.type, 1.0)


def _outputs_from_windows(
    indicator: Indicator, bars: pd.DataFrame, position: Rows, memory: float
) -> tuple[dict[str, Floats], Flags]:
    """Return each output at the bars `position` ([rows, lags + 1], newest first), and which rows were computed."""
    start = np.maximum(position[:, -1] + 1 - min(memory, len(bars)), 0).astype(np.intp)
    pairs, of_row = np.unique(start * len(bars) + position[:, 0], return_inverse=True)
    first, last = np.divmod(pairs, len(bars))
    # A window from the first bar on starts fresh, after an empty bar; the others forget what is stacked before them.
    first = np.where(first == 0, -1, first)
    kept = np.zeros(len(first), dtype=np.bool_)
    kept[:: max(1, math.ceil(float((last - first + 1).sum()) / MAX_STACKED_BARS))] = True
    lengths = np.where(kept, last - first + 1, 0)
    ends = np.cumsum(lengths)
    stacked = np.arange(ends[-1]) - np.repeat(ends - lengths - first, lengths)
    outputs = compute_columns(indicator.type, _stack(indicator, bars, stacked), indicator.parameters)
    known = kept[of_row]
    at = np.where(known[:, None], (ends - 1 - last)[of_row][:, None] + position, 0)
    return {name: line[at] for name, line in outputs.items()}, known


def _stack(indicator: Indicator, bars: pd.DataFrame, rows: Rows) -> Columns:
    """Return the bars numbered `rows`, -1 for an empty bar; columns that the indicator does not read are others."""
    columns = read_columns(indicator.type, bars, indicator.parameters)
    empty, taken = np.flatnonzero(rows < 0), np.maximum(rows, 0)
    read = {name: getattr(columns, name)[taken] for name in INDICATORS[indicator.type].reads}
    for values in read.values():
        values[empty] = np.nan
    unread = next(iter(read.values()))
    prices = {name: read.get(name, unread) for name in (*COLUMNS, "source")}
    return Columns(**prices, session=columns.session[taken])
