"""The shape of market data (bars) and its Parquet file.

Bars are a `DataFrame` with float64 columns `open high low close volume` (and `spread`, in price, if the source has
it). The index `time` is the opening time of each bar: UTC, strictly increasing. `attrs["calendar"]` names the trading
calendar.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workers.market_data.errors import MarketDataError
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.quoting import shorten

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
OPTIONAL_COLUMNS = ("spread",)

_CALENDAR_KEY = b"ktrdr.calendar"


def check_shape(bars: pd.DataFrame) -> pd.DataFrame:
    """Return `bars` unchanged. Raises `MarketDataError` if they do not have the shape above or are empty."""
    missing = [name for name in COLUMNS if name not in bars.columns]
    if missing:
        raise MarketDataError(f"the bars have no column {', '.join(missing)}")
    if not isinstance(bars.index, pd.DatetimeIndex) or str(bars.index.tz) != "UTC":
        raise MarketDataError("the bars must be indexed by UTC times")
    if not len(bars):
        raise MarketDataError("the data contain no bars")
    if not (np.diff(unix_nanoseconds(bars.index)) > 0).all():
        raise MarketDataError("the times of the bars must be strictly increasing")
    return bars


def bars_as_bytes(bars: pd.DataFrame) -> bytes:
    """Return `bars` and their calendar as a Parquet file; equal bars give equal bytes."""
    check_shape(bars)
    names = [*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in bars.columns)]
    arrays = [pa.array(unix_nanoseconds(pd.DatetimeIndex(bars.index)), pa.timestamp("ns", tz="UTC"))]
    arrays += [pa.array(bars[name].to_numpy(np.float64)) for name in names]
    table = pa.table(arrays, names=["time", *names])
    if calendar := bars.attrs.get("calendar"):
        table = table.replace_schema_metadata({_CALENDAR_KEY: calendar.encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def write_bars(bars: pd.DataFrame, path: Path) -> None:
    path.write_bytes(bars_as_bytes(bars))


def read_bars(path: Path) -> pd.DataFrame:
    """Read bars stored by `write_bars`. Raises `MarketDataError` for any other file."""
    try:
        # Not pq.read_table, whose import of pyarrow.dataset is slow. From memory, because for files Arrow starts a thread.
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise MarketDataError(
            f"{path.name} is not a valid Parquet bar file: {shorten(str(error))}"
        ) from error
    if "time" not in table.column_names:
        raise MarketDataError(f"{path.name} has no column time")
    columns = {
        name: table[name].to_numpy().astype(np.float64)
        for name in (*COLUMNS, *OPTIONAL_COLUMNS)
        if name in table.column_names
    }
    time = pd.DatetimeIndex(table["time"].to_numpy(), name="time")
    bars = pd.DataFrame(columns, index=time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC"))
    if calendar := (table.schema.metadata or {}).get(_CALENDAR_KEY):
        bars.attrs["calendar"] = calendar.decode()
    return check_shape(bars)
