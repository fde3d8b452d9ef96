"""Compute an indicator on a frame of bars by its name in the catalog."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.calendars import calendar_of
from workers.market_data.sessions import Sessions, unix_nanoseconds
from workers.strategy.catalog import IndicatorEntry, Value
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicator_reading import read_indicator
from workers.strategy.indicators import averages, momentum, trend, volatility, volume
from workers.strategy.indicators.columns import Columns, Floats, ParameterValues

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

_MIXTURES = {
    "hl2": ("high", "low"),
    "hlc3": ("high", "low", "close"),
    "ohlc4": ("open", "high", "low", "close"),
}


def compute(name: str, bars: pd.DataFrame, **parameters: Value) -> dict[str, Floats]:
    """Return float64[n] for every output of the indicator, by name; NaN during the warm-up.

    A row with a non-finite value in a column that the indicator reads has no value, and the indicator starts again
    after it. Raises `ValueError` for an unknown name or parameter, with the nearest valid one.
    """
    indicator, problems = read_indicator({"type": name, **parameters}, "")
    if indicator is None:
        raise ValueError("; ".join(message for _, message in problems))
    return compute_unchecked(indicator.type, bars, indicator.parameters)


def compute_unchecked(name: str, bars: pd.DataFrame, parameters: Mapping[str, Value]) -> dict[str, Floats]:
    """Compute an indicator by its catalog name, without validating `parameters`, which must be complete."""
    return compute_columns(name, read_columns(name, bars, parameters), parameters)


def compute_columns(name: str, columns: Columns, parameters: Mapping[str, Value]) -> dict[str, Floats]:
    """Compute an indicator as `compute_unchecked` does; columns that it does not read may contain anything."""
    entry = INDICATORS[name]
    warm_up = entry.warm_up_rows(parameters)
    results = {output.name: np.full(len(columns.close), np.nan) for output in entry.outputs}
    for rows in _finite_runs(entry, columns):
        if rows.stop - rows.start <= warm_up:
            continue
        lines = FUNCTIONS[name](_cut(columns, rows), ParameterValues(parameters))
        for output, line in zip(entry.outputs, lines, strict=True):
            results[output.name][rows.start + warm_up : rows.stop] = line[warm_up:]
    return results


def read_columns(name: str, bars: pd.DataFrame, parameters: Mapping[str, Value]) -> Columns:
    """Return the bars as an indicator reads them."""
    source = str(parameters.get("source", "close"))
    column = {name: _contiguous(bars, name) for name in ("open", "high", "low", "close", "volume")}
    if source in _MIXTURES:
        parts = _MIXTURES[source]
        price = sum((column[part] for part in parts), np.zeros(len(bars))) / len(parts)
    else:
        price = column[source]
    return Columns(**column, source=price, session=_session_numbers(name, bars))


def _contiguous(bars: pd.DataFrame, name: str) -> Floats:
    return np.ascontiguousarray(bars[name].to_numpy(np.float64))


def _session_numbers(name: str, bars: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the session number of each bar if the indicator needs it, otherwise zeros."""
    if name != "vwap" or not len(bars):
        return np.zeros(len(bars), dtype=np.int64)
    opens = unix_nanoseconds(pd.DatetimeIndex(bars.index))
    sessions = Sessions.covering(calendar_of(bars), int(opens[0]), int(opens[-1]))
    return sessions.of_instants(opens).astype(np.int64)


def _finite_runs(entry: IndicatorEntry, columns: Columns) -> Iterator[slice]:
    """Yield the longest runs of rows in which every column that the indicator reads is finite."""
    finite = np.logical_and.reduce([np.isfinite(getattr(columns, name)) for name in entry.reads])
    edges = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def _cut(columns: Columns, rows: slice) -> Columns:
    if rows.start == 0 and rows.stop == len(columns.close):
        return columns
    return Columns(*(getattr(columns, name)[rows] for name in Columns.__slots__))
