"""Read the first table of an Excel workbook (.xlsx), row by row.

openpyxl streams the rows: a workbook of 5 kB can name a cell in the last row and column, for which a reader that
stores the whole range would need gigabytes.
"""

import mmap
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BytesIO
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
import pyarrow as pa
from openpyxl.utils.exceptions import InvalidFileException

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.limits import MAX_WORKBOOK_BYTES, check_bytes, check_expansion
from workers.market_data.reader.titles import NEEDED, flatten, is_header
from workers.market_data.row_errors import Lines
from workers.strategy.quoting import shorten

_HEADER_ROWS = 60
_MOST_COLUMNS = 64
_MOST_ROWS = 1_048_576
_ERRORS = (
    zipfile.BadZipFile, zlib.error, InvalidFileException, ParseError, KeyError, ValueError, TypeError, OSError, EOFError,
    AttributeError, IndexError, NotImplementedError, RuntimeError,
)  # fmt: skip


def read_excel_grid(content: mmap.mmap) -> Grid:
    """Read the first sheet that has the titles of bars. Raises `MarketDataError` if there is none, or for a damaged
    workbook."""
    data = BytesIO(content[:])
    try:
        _check_members(data, len(content))
        workbook = openpyxl.load_workbook(data, read_only=True, data_only=True)
        for sheet in workbook.worksheets:
            rows = sheet.iter_rows(max_col=_MOST_COLUMNS, max_row=_MOST_ROWS, values_only=True)
            if (grid := _read_rows(iter(rows))) is not None:
                return grid
    except MarketDataError:
        raise
    except _ERRORS as error:
        raise MarketDataError(
            f"the file is an Excel workbook that cannot be read: {shorten(str(error) or type(error).__name__)}"
        ) from error
    raise MarketDataError("no sheet of the workbook has a row with the titles open, high, low and close")


def _check_members(data: BytesIO, packed: int) -> None:
    """Unpack every member once without keeping it: sizes in the directory of an archive may be wrong."""
    size = 0
    with zipfile.ZipFile(data) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                while chunk := stream.read(1024**2):
                    size += len(chunk)
                    check_bytes(size, MAX_WORKBOOK_BYTES)
                    check_expansion(packed, size)


def _read_rows(rows: Iterator[tuple[Any, ...]]) -> Grid | None:
    """Return the table below the first row with the titles of bars; None if the first rows have no such titles."""
    number, titles = _find_titles(rows)
    if not titles:
        return None
    while titles and not titles[-1]:
        titles.pop()
    cells: list[list[str]] = [[] for _ in titles]
    positions: list[int] = []
    for position, row in enumerate(rows, start=number + 1):
        texts = [_text(value) for value in row[: len(titles)]]
        if any(texts):
            positions.append(position)
            for column, text in zip(cells, [*texts, *[""] * (len(titles) - len(texts))], strict=True):
                column.append(text)
    footer = _drop_footer(titles, cells, positions)
    if not positions:
        raise MarketDataError("the workbook contains no rows below its header")
    notes = [f"{number - 1} rows above the header skipped"] if number > 1 else []
    notes += [f"{footer} rows below the last bar skipped"] if footer else []
    columns = tuple(pa.chunked_array([pa.array(column, pa.string())]) for column in cells)
    lines = Lines(lambda row: positions[row], unit="row")
    return Grid(tuple(titles), columns, lines, "excel", notes=tuple(notes))


def _find_titles(rows: Iterator[tuple[Any, ...]]) -> tuple[int, list[str]]:
    """Return the first row with the titles of bars and its number; no titles if the first rows have none."""
    for number, row in enumerate(islice(rows, _HEADER_ROWS), start=1):
        titles = ["" if value is None else str(value) for value in row]
        if is_header(flatten(titles)):
            return number, titles
    return 0, []


def _drop_footer(titles: list[str], cells: list[list[str]], positions: list[int]) -> int:
    """Remove the last rows that have no prices, such as a remark; return how many."""
    count = 0
    while positions and sum(bool(column[-1]) for column in cells) < min(len(NEEDED), len(titles)):
        positions.pop()
        for column in cells:
            column.pop()
        count += 1
    return count


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            # Days as floating-point numbers are exact to some microseconds.
            return (value + timedelta(milliseconds=1)).replace(microsecond=0).isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case float():
            return repr(value)
    return str(value).strip()
