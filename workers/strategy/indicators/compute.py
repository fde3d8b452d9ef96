"""Compute an indicator on a frame of bars by its name in the catalog."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from workers.market_data.bars import COLUMNS
from workers.strategy.catalog import IndicatorEntry, Value
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS
from workers.strategy.indicator_expressions import resolved_tree
from workers.strategy.indicator_reading import read_indicator
from workers.strategy.indicators import averages, momentum, trend, volatility, volume
from workers.strategy.indicators.columns import BarColumns, Columns, Floats, ParameterValues
from workers.strategy.indicators.evaluation import evaluate_number

FUNCTIONS: Mapping[str, Callable[[Columns, ParameterValues], tuple[Floats, ...]]] = {
    "sma": averages.sma,
    "ema": averages.ema,
    "wma": averages.wma,
    "dema": averages.dema,
    "tema": averages.tema,
    "kama": averages.kama,
    "distancefromma": averages.distance_from_average,
    "vwap": averages.vwap,
    "rsi": momentum.rsi,
    "macd": momentum.macd,
    "momentum": momentum.momentum,
    "roc": momentum.roc,
    "cci": momentum.cci,
    "stochastic": momentum.stochastic,
    "williamsr": momentum.williams_r,
    "rvi": momentum.relative_vigor,
    "fishertransform": momentum.fisher_transform,
    "adx": trend.adx,
    "aroon": trend.aroon,
    "parabolicsar": trend.parabolic_sar,
    "supertrend": trend.supertrend,
    "ichimoku": trend.ichimoku,
    "atr": volatility.atr,
    "natr": volatility.natr,
    "bbands": volatility.bollinger_bands,
    "bollingerbandwidth": volatility.bollinger_width,
    "keltnerchannels": volatility.keltner_channels,
    "donchianchannels": volatility.donchian_channels,
    "squeezeintensity": volatility.squeeze_intensity,
    "realizedvolatility": volatility.realized_volatility,
    "obv": volume.on_balance_volume,
    "adline": volume.accumulation_line,
    "cmf": volume.chaikin_money_flow,
    "mfi": volume.money_flow_index,
    "volumeratio": volume.volume_ratio,
}


def compute(name: str, bars: pd.DataFrame | BarColumns, **parameters: Value) -> dict[str, Floats]:
    """Return float64[n] for every output of the indicator, by name; NaN during the warm-up.

    A row with a non-finite value in a column that the indicator reads has no value, and the indicator starts again
    after it. To compute several indicators of the same bars, pass `BarColumns`, which are read and checked once.
    Raises `ValueError` for an unknown name or parameter, with the nearest valid one.
    """
    indicator, problems = read_indicator({"type": name, **parameters}, "")
    if indicator is None:
        raise ValueError("; ".join(message for _, message in problems))
    columns = BarColumns(bars) if isinstance(bars, pd.DataFrame) else bars
    return compute_unchecked(indicator.type, columns, indicator.parameters)


def compute_unchecked(name: str, bars: BarColumns, parameters: Mapping[str, Value]) -> dict[str, Floats]:
    """Compute an indicator by its catalog name, without validating `parameters`, which must be complete.

    A formula may name only values of the bars here. Raises `ExpressionError`, a `ValueError`.
    """
    if name == EXPRESSION:
        tree = resolved_tree(str(parameters["expression"]), ())
        return {"value": evaluate_number(tree, bars.value, len(bars))}
    source = source_of(parameters)
    finite = all(
        bars.is_finite(source if column == "source" else column) for column in INDICATORS[name].reads
    )
    return compute_columns(name, read_columns(name, bars, parameters), parameters, finite=finite)


def compute_columns(
    name: str, columns: Columns, parameters: Mapping[str, Value], *, finite: bool = False
) -> dict[str, Floats]:
    """Compute an indicator as `compute_unchecked` does; columns that it does not read may contain anything.

    `finite`: whether every column that it reads is known to be finite.
    """
    entry, values, n = INDICATORS[name], ParameterValues(parameters), len(columns.close)
    warm_up = min(entry.warm_up_rows(parameters), n)
    if finite and n > warm_up:
        lines = FUNCTIONS[name](columns, values)
        for line in lines:
            line[:warm_up] = np.nan
        return {output.name: line for output, line in zip(entry.outputs, lines, strict=True)}
    results = {output.name: np.full(n, np.nan) for output in entry.outputs}
    for rows in _finite_runs(entry, columns):
        if rows.stop - rows.start <= warm_up:
            continue
        lines = FUNCTIONS[name](_cut(columns, rows), values)
        for output, line in zip(entry.outputs, lines, strict=True):
            results[output.name][rows.start + warm_up : rows.stop] = line[warm_up:]
    return results


def source_of(parameters: Mapping[str, Value]) -> str:
    """Return the price that an indicator with these parameters reads as its source."""
    return str(parameters.get("source", "close"))


def read_columns(name: str, bars: BarColumns, parameters: Mapping[str, Value]) -> Columns:
    """Return the bars as an indicator reads them; columns that it does not read are others."""
    source = source_of(parameters)
    read = {column: bars.price(source if column == "source" else column) for column in INDICATORS[name].reads}
    unread = next(iter(read.values()))
    prices = {column: read.get(column, unread) for column in (*COLUMNS, "source")}
    return Columns(**prices, session=bars.sessions() if name == "vwap" else bars.zeros())


def _finite_runs(entry: IndicatorEntry, columns: Columns) -> Iterator[slice]:
    """Yield the longest runs of rows in which every column that the indicator reads is finite."""
    finite = np.logical_and.reduce([np.isfinite(getattr(columns, name)) for name in entry.reads])
    edges = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(start, stop)


def _cut(columns: Columns, rows: slice) -> Columns:
    if rows.start == 0 and rows.stop == len(columns.close):
        return columns
    return Columns(*(getattr(columns, name)[rows] for name in Columns.__slots__))
