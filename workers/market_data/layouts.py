"""Recognise the CSV layouts of market data sources: their columns and time zones.

* Yahoo: `Date,Open,High,Low,Close,Adj Close,Volume`, also with the three header lines of newer downloads.
* Stooq: the same without adjustment, or `<TICKER>,<PER>,<DATE>,<TIME>,...,<OPENINT>`.
* MetaTrader: `<DATE> <TIME> <OPEN> ... <TICKVOL> <VOL> <SPREAD>` (version 5), or no header and
  `2012.02.01,00:00,open,high,low,close,volume` (version 4).
* histdata.com: `20120201 000000;open;high;low;close;volume`, and its MetaTrader files `DAT_MT_*`; both in
  Eastern Standard Time without daylight saving.

Any other file whose header names date or time, open, high, low and close is read as well.
"""

import csv
import io
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.row_errors import Lines, reject_rows
from workers.strategy.quoting import shorten

EASTERN_STANDARD = "Etc/GMT+5"

_NAMES = {
    "date": "date", "day": "date", "time": "time", "datetime": "date", "timestamp": "date", "date time": "date",
    "gmt time": "date", "open time": "date", "open": "open", "high": "high", "low": "low", "close": "close",
    "last": "close", "close/last": "close", "adj close": "adjusted", "adj_close": "adjusted",
    "adjclose": "adjusted", "adjusted close": "adjusted", "adjusted_close": "adjusted", "volume": "volume",
    "vol": "volume", "tickvol": "ticks", "tick volume": "ticks", "spread": "spread", "spread_close": "spread",
    "ticker": "ticker",
    "per": "period", "ticks": "ticks",
}  # fmt: skip
_NEEDED = ("open", "high", "low", "close")
_HEADLESS = ("open", "high", "low", "close", "volume")
_MT4_DATE = re.compile(r"\d{4}\.\d{2}\.\d{2}")
_BEYOND = "?beyond"
_HISTDATA_TIME = re.compile(r"\d{8} \d{6}")


@dataclass(frozen=True, slots=True)
class RawTable:
    """The texts of a file in columns named `date time open high low close adjusted volume ticks spread ticker period`,
    and the line of each row in the file."""

    cells: pd.DataFrame
    lines: Lines
    layout: str
    timezone: str
    """For times without an offset, unless the user chooses another."""
    ignored: tuple[str, ...]
    """Columns that are not used."""


def read_table(content: bytes, filename: str) -> RawTable:
    """Read the rows of a CSV file. Raises `MarketDataError` if its layout is unknown."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MarketDataError("the file is neither UTF-8 CSV text nor Parquet") from error
    blank = text[: len(text) - len(text.lstrip())].count("\n")
    header = text.lstrip().split("\n", 1)[0].rstrip("\r")
    delimiter = max("\t;,", key=header.count)
    first = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter))]
    if _HISTDATA_TIME.fullmatch(first[0]):
        return _table(text, delimiter, ["date", *_HEADLESS], blank, ("histdata", EASTERN_STANDARD))
    if _MT4_DATE.fullmatch(first[0]) and len(first) >= 6:
        histdata = filename.upper().startswith("DAT_MT")
        origin = ("histdata", EASTERN_STANDARD) if histdata else ("metatrader", "UTC")
        return _table(text, delimiter, ["date", "time", *_HEADLESS], blank, origin)
    names, header_lines = _columns_of(first)
    return _table(text, delimiter, names, blank + header_lines, (_layout(first, names), "UTC"))


def _columns_of(first: list[str]) -> tuple[list[str], int]:
    """Return the name of each column of a header (unused ones start with `?`), and its number of lines."""
    plain = [name.strip("<>[] ").lower() for name in first]
    names = [_NAMES.get(name, f"?{title}") for name, title in zip(plain, first, strict=True)]
    newer_yahoo = plain[0] == "price" and "close" in plain
    if newer_yahoo:
        names[0] = "date"
    names = _rename_time_to_date(names)
    missing = [name for name in ("date", *_NEEDED) if name not in names]
    if missing:
        raise MarketDataError(
            f"the header has no column {', '.join(missing)} (found: {shorten(', '.join(first))})"
        )
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise MarketDataError(f"the header has two columns for {shorten(', '.join(sorted(repeated)))}")
    return names, 3 if newer_yahoo else 1


def _rename_time_to_date(names: list[str]) -> list[str]:
    return names if "date" in names else ["date" if name == "time" else name for name in names]


def _layout(first: list[str], names: list[str]) -> str:
    if "period" in names:
        return "stooq"
    if first[0].startswith("<"):
        return "metatrader"
    return "yahoo" if "adjusted" in names else "csv"


def _table(text: str, delimiter: str, names: list[str], skip: int, origin: tuple[str, str]) -> RawTable:
    """Return the cells as texts, without blank rows."""
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=None,
            skiprows=skip,
            names=[*names, _BEYOND],
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise MarketDataError(f"the rows of the file cannot be read: {shorten(str(error))}") from error
    lines = np.arange(len(cells), dtype=np.int64) + skip + 1
    filled = np.flatnonzero((cells != "").to_numpy().any(axis=1))
    cells, lines = cells.iloc[filled].reset_index(drop=True), lines[filled]
    if cells.empty:
        raise MarketDataError("the file contains no rows")
    reject_rows((cells[_BEYOND] != "").to_numpy(), lines, "more cells than columns")
    kept = [name for name in names if not name.startswith("?")]
    ignored = tuple(name[1:] for name in names if name.startswith("?"))
    return RawTable(cells[kept], lines, *origin, ignored)
