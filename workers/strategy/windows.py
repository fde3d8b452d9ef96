"""Compute the inputs of chosen bars from only the bars that each one can remember.

The windows of all chosen bars are stacked into one column and computed in one pass, so hundreds of them cost about as
much as a few computations of all bars. No window contains a bar after its own.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np
import numpy.typing as npt

from workers.market_data.bars import COLUMNS
from workers.market_data.timeframes import nanoseconds
from workers.strategy.catalog import Value
from workers.strategy.definition import Strategy
from workers.strategy.expressions.lookback import lookback
from workers.strategy.features import encode
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS
from workers.strategy.indicator_expressions import indicator_tree, indicators_of
from workers.strategy.indicator_lines import IndicatorLines
from workers.strategy.indicators.columns import BarColumns, Columns, Floats
from workers.strategy.indicators.compute import compute_columns, source_of
from workers.strategy.sections.model_inputs import Indicator
from workers.strategy.views import View, frame_key, symbol_of, timeframe_of

Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

MAX_STACKED_BARS = 1_000_000
"""Windows that do not fit are left out, evenly over time."""
BATCH_BARS = 15_000
"""Bars computed at once: larger arrays would be given back to the operating system each time, and clearing new pages takes
as long as the computation."""

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
    present, lags = len(strategy.features), strategy.lookback_periods
    values = np.empty((len(rows), present * (lags + 1)))
    computed = np.empty(values.shape, dtype=np.bool_)
    bar_numbers = rows[:, None] - np.arange(lags + 1)  # [rows, lags + 1], newest first
    for (key, name), columns in _columns_by_indicator(strategy).items():
        view = views[key]
        position = bar_numbers if view.position is None else view.position[bar_numbers]
        outputs, known = _Windows(strategy, key, lengthen).outputs(name, view, position)
        for column in columns:
            feature = strategy.features[column]
            encoded = encode(np.ascontiguousarray(outputs[feature.output]).ravel(), feature)
            values[:, column::present] = encoded.reshape(position.shape)
            computed[:, column::present] = known[:, None]
    return values, computed


def _columns_by_indicator(strategy: Strategy) -> dict[tuple[str, str], list[int]]:
    columns = defaultdict(list)
    for column, feature in enumerate(strategy.features):
        columns[strategy.frame_of(feature), feature.indicator].append(column)
    return columns


def _remembered_bars(strategy: Strategy, name: str, timeframe: str) -> float:
    """Return how many bars, its own included, determine a value."""
    indicator = strategy.indicator(name)
    if indicator.type == EXPRESSION:
        tree = indicator_tree(strategy.indicators, name)
        symbol = strategy.symbol_of(name)
        others = [
            _remembered_bars(strategy, other, timeframe)
            for other in indicators_of(tree)
            if strategy.symbol_of(other) in ("", symbol)
        ]
        return lookback(tree) + max(others, default=1)
    parameters: dict[str, Value] = dict(indicator.parameters)
    needed = INDICATORS[indicator.type].warm_up_rows(parameters) + 1
    if indicator.type == "vwap" and not parameters["period"]:
        return _SECONDS_A_DAY * 1_000_000_000 // nanoseconds(timeframe) + 2
    return needed * _MEMORY.get(indicator.type, 1.0)


@dataclass(frozen=True, slots=True)
class _Windows:
    """How to compute indicators on the bars of one frame from windows only."""

    strategy: Strategy
    key: str
    lengthen: int

    def outputs(self, name: str, view: View, position: Rows) -> tuple[dict[str, Floats], Flags]:
        """Return each output at the bars `position` ([rows, lags + 1], newest first), and which rows were computed."""
        bars = len(view.bars)
        memory = self.lengthen * _remembered_bars(self.strategy, name, timeframe_of(self.key))
        start = np.maximum(position[:, -1] + 1 - min(memory, bars), 0).astype(np.intp)
        pairs, of_row = np.unique(start * bars + position[:, 0], return_inverse=True)
        first, last = np.divmod(pairs, bars)
        # A window from the first bar on starts fresh, after an empty bar; the others forget what is stacked before them.
        first = np.where(first == 0, -1, first)
        lengths = last - first + 1
        computed = np.zeros(len(first), dtype=np.bool_)
        computed[:: max(1, math.ceil(float(lengths.sum()) / MAX_STACKED_BARS))] = True
        ends = np.cumsum(np.where(computed, lengths, 0))
        lines = INDICATORS[self.strategy.indicator(name).type].outputs
        outputs = {line.name: np.full(position.shape, np.nan) for line in lines}
        for windows in _batches(ends):
            stacked_before = ends[windows.start - 1] if windows.start else 0
            stacked = self._lines(view, first[windows], ends[windows] - stacked_before)
            rows = np.flatnonzero((of_row >= windows.start) & (of_row < windows.stop) & computed[of_row])
            at = (ends - 1 - last - stacked_before)[of_row[rows], None] + position[rows]
            for output, values in stacked.outputs(name).items():
                outputs[output][rows] = values[at]
        return outputs, computed[of_row]

    def _lines(self, view: View, first: Rows, ends: Rows) -> IndicatorLines:
        """Return the indicators on windows as `_stack` stacks them."""

        def of_catalog(indicator: Indicator) -> dict[str, Floats]:
            columns, finite = _stack(indicator, view.bars, first, ends)
            return compute_columns(indicator.type, columns, indicator.parameters, finite=finite)

        def of_other(name: str, output: str) -> Floats:
            numbers = _stack_column(np.arange(len(view.bars), dtype=np.float64), first, ends)
            return self._of_other(view, numbers, name, output)

        return IndicatorLines(
            self.strategy,
            symbol_of(self.key),
            int(ends[-1]),
            of_catalog,
            lambda field: _stack_column(view.bars.value(field), first, ends),
            of_other,
        )

    def _of_other(self, view: View, numbers: Floats, name: str, output: str) -> Floats:
        """Return an output of an indicator of another symbol, from windows of that symbol, at the bars `numbers`.

        An empty bar has the number NaN.
        """
        symbol = self.strategy.symbol_of(name)
        joined = view.joined[symbol]
        assert joined.position is not None, "bars of another symbol never look at themselves"
        position = joined.position[np.nan_to_num(numbers).astype(np.intp)]
        exists = ~np.isnan(numbers) & (position >= 0)
        needed, of_row = np.unique(position[exists], return_inverse=True)
        values = np.full(len(numbers), np.nan)
        if len(needed):
            key = frame_key(symbol, timeframe_of(self.key))
            outputs, _ = _Windows(self.strategy, key, self.lengthen).outputs(name, joined, needed[:, None])
            values[exists] = outputs[output][of_row, 0]
        return values


def _batches(ends: Rows) -> Iterator[slice]:
    """Divide windows that end at `ends` when they are stacked into batches of about `BATCH_BARS` bars."""
    batch = ends // BATCH_BARS
    edges = np.flatnonzero(np.diff(batch)) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(ends)]):
        if ends[stop - 1] > (ends[start - 1] if start else 0):
            yield slice(start, stop)


def _stack(indicator: Indicator, bars: BarColumns, first: Rows, ends: Rows) -> tuple[Columns, bool]:
    """Return the windows that start at the bars `first` one after the other, each up to its number in `ends`, and
    whether they are known to be finite. The bar -1 is an empty one. Columns that the indicator does not read are others."""
    source = source_of(indicator.parameters)
    names = {name: source if name == "source" else name for name in INDICATORS[indicator.type].reads}
    read = {name: _stack_column(bars.price(price), first, ends) for name, price in names.items()}
    unread = next(iter(read.values()))
    prices = {name: read.get(name, unread) for name in (*COLUMNS, "source")}
    session = np.zeros(len(unread), dtype=np.int64)
    if indicator.type == "vwap":
        stacked = _stack_column(bars.sessions().astype(np.float64), first, ends)
        session = np.nan_to_num(stacked).astype(np.int64)
    finite = bool((first >= 0).all()) and all(bars.is_finite(price) for price in names.values())
    return Columns(**prices, session=session), finite


@numba.njit(cache=True)
def _stack_column(values: Floats, first: Rows, ends: Rows) -> Floats:
    stacked = np.empty(ends[-1])
    begin = 0
    for window in range(len(first)):
        row = first[window]
        for i in range(begin, ends[window]):
            stacked[i] = values[row] if row >= 0 else np.nan
            row += 1
        begin = ends[window]
    return stacked
