"""Read an uploaded file into bars, or reject it with the rows that are invalid."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workers.market_data.bars import COLUMNS, PRICES
from workers.market_data.checks import check_order, check_prices, check_spacing
from workers.market_data.errors import MarketDataError
from workers.market_data.layouts import RawTable, read_table
from workers.market_data.parameters import ImportParameters
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.times import read_times
from workers.market_data.unpacking import PARQUET, unpack
from workers.strategy.quoting import quote, shorten

_PERIODS = {"d": "1d", "w": "1w", "1": "1m", "5": "5m", "10": "10m", "15": "15m", "30": "30m", "60": "1h"}
"""Names of timeframes in Stooq files."""


@dataclass(frozen=True, slots=True)
class ImportedBars:
    """Valid bars and how they were read. `adjustment` is `applied`, `available` or `none`."""

    bars: pd.DataFrame
    layout: str
    timezone: str
    adjustment: str
    ignored: tuple[str, ...]


def read_file(path: Path, parameters: ImportParameters) -> ImportedBars:
    """Read the bars of an uploaded file. Raises `MarketDataError`; no row is skipped or repaired."""
    content = unpack(path)
    table = (
        _parquet_table(content) if content.startswith(PARQUET) else read_table(content, parameters.filename)
    )
    if table.layout == "stooq":
        _check_stooq(table, parameters.timeframe)
    timezone = parameters.timezone or table.timezone
    index = read_times(_time_texts(table.cells), table.lines, timezone, parameters.timeframe)
    check_order(index, table.lines)
    check_spacing(index, parameters.timeframe)
    bars = _prices(table, parameters.adjust)
    bars.index = index
    check_prices(bars, table.lines)
    available = "available" if "adjusted" in table.cells else "none"
    adjustment = "applied" if parameters.adjust else available
    return ImportedBars(bars, table.layout, timezone, adjustment, table.ignored)


def _parquet_table(content: bytes) -> RawTable:
    """Read a Parquet file like a CSV file; the time may be a column or the pandas index."""
    try:
        frame = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MarketDataError(f"the Parquet file cannot be read: {shorten(str(error))}") from error
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names="time")
    names = {str(name): str(name).strip().lower().replace("adj close", "adjusted") for name in frame.columns}
    frame = frame.rename(columns=names)
    time = next((name for name in ("time", "date", "datetime", "timestamp") if name in frame.columns), None)
    missing = [name for name in PRICES if name not in frame.columns]
    if time is None or missing:
        raise MarketDataError(
            f"the Parquet file has no column {', '.join([*missing, *(['time'] if time is None else [])])}"
        )
    kept = [name for name in (*COLUMNS, "adjusted", "spread") if name in frame.columns]
    cells = frame[kept].copy()
    cells.insert(0, "date", _as_texts(frame[time]))
    ignored = tuple(name for name in frame.columns if name not in (*kept, time))
    return RawTable(cells, np.arange(1, len(cells) + 1, dtype=np.int64), "parquet", "UTC", ignored)


def _as_texts(times: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(times):
        if times.isna().any():
            raise MarketDataError("the Parquet file has rows without a time")
        return times.map(lambda time: time.isoformat()).astype(str)
    return times.astype(str)


def _check_stooq(table: RawTable, timeframe: str) -> None:
    for name in ("ticker", "period"):
        values = [str(value) for value in table.cells[name].unique()] if name in table.cells else []
        if len(values) > 1:
            raise MarketDataError(f"the file contains more than one {name}: {shorten(', '.join(values[:5]))}")
        if name == "period" and values and _PERIODS.get(values[0].lower(), timeframe) != timeframe:
            raise MarketDataError(f"the period of the file is {quote(values[0])}, not {timeframe}")


def _time_texts(cells: pd.DataFrame) -> pd.Series:
    if "time" in cells.columns:
        return cells["date"].str.strip() + " " + cells["time"].str.strip()
    return cells["date"]


def _prices(table: RawTable, adjust: bool) -> pd.DataFrame:
    """Return float64 columns `open high low close volume` and, if the file has it, `spread` in price."""
    cells, lines = table.cells, table.lines
    bars = pd.DataFrame({name: _numbers(cells[name], lines, name) for name in PRICES})
    bars["volume"] = _volume(table)
    if "spread" in cells:
        spread = _numbers(cells["spread"], lines, "spread")
        reject_rows(~(spread >= 0.0), lines, "spread is missing or negative")
        bars["spread"] = spread * (_point(cells) if table.layout == "metatrader" else 1.0)
    if adjust:
        _adjust(bars, table)
    return bars


def _numbers(cells: pd.Series, lines: Lines, name: str) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(np.float64)
    numbers = pd.to_numeric(cells.str.strip(), errors="coerce").to_numpy(np.float64)
    reject_rows(np.isnan(numbers), lines, f"{name} is missing or not a number", cells)
    return numbers


def _volume(table: RawTable) -> np.ndarray:
    """Return the traded volume, or the number of ticks if a broker has no volume; zeros if the file has neither."""
    for name in ("volume", "ticks"):
        if name in table.cells:
            values = _numbers(table.cells[name], table.lines, name)
            if values.any():
                return values
    return np.zeros(len(table.cells))


def _point(cells: pd.DataFrame) -> float:
    """Return the size of a MetaTrader point, the unit of its spread: one unit of the last decimal of its prices."""
    decimals = cells["close"].str.strip().str.partition(".")[2].str.len().max()
    return float(10.0 ** -int(decimals))


def _adjust(bars: pd.DataFrame, table: RawTable) -> None:
    """Scale the prices of each bar so that its close equals the adjusted close."""
    if "adjusted" not in table.cells:
        raise MarketDataError("adjust needs a column with the adjusted close, but the file has none")
    adjusted = _numbers(table.cells["adjusted"], table.lines, "adjusted close")
    reject_rows(~(adjusted > 0.0), table.lines, "the adjusted close is zero or negative", adjusted)
    close = bars["close"].to_numpy().copy()
    reject_rows(~(close > 0.0), table.lines, "close is zero or negative", close)
    factor = adjusted / close
    for name in (*PRICES, *(("spread",) if "spread" in bars else ())):
        bars[name] = bars[name].to_numpy() * factor
