"""Read the table of a text as a grid."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.encoding import Text
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.limits import MAX_LINE, MAX_ROWS, check_table
from workers.market_data.reader.text_bounds import (
    Start,
    cells_of,
    find_end,
    find_start,
    first_lines,
    width_of,
)
from workers.market_data.reader.text_lines import TextLines
from workers.market_data.reader.titles import ROLES_OF_TIME, roles_of
from workers.market_data.row_errors import Lines, reject_rows
from workers.strategy.quoting import shorten

_LARGE = 4 * 1024**2
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_GROUPED = re.compile(r"-?\d{1,3}(\.\d{3})+")
_KEPT_AS_TEXT = {*ROLES_OF_TIME, "symbol", "period", "spread"}


def read_text_grid(text: Text) -> Grid:
    """Return the table of a text. Raises `MarketDataError` if it has none, or a row with too many or too few cells."""
    head = list(first_lines(text))
    start = find_start(head)
    end, footer = find_end(text, start)
    width = width_of(head, start)
    titles = None if start.titles is None else _fit(start.titles, width)
    first = text[start.first.start : start.first.start + 1]
    assert first, "a first row was found"
    lines = TextLines(text, start.first.start, end, start.first.number)
    check_table(min(lines.count(), MAX_ROWS + 1), width, end)
    table = _parse(text, start, end, width, lines)
    table, kept = _drop_blank_rows(table)
    row_lines = Lines(lines.find) if kept is None else Lines(lines.find).take(kept)
    if start.titles is not None:
        _reject_untitled(table, len(start.titles), row_lines)
    notes = []
    if start.skipped:
        notes.append(f"{start.skipped} line{'s' if start.skipped > 1 else ''} above the header skipped")
    if footer:
        notes.append(f"{footer} line{'s' if footer > 1 else ''} below the last row skipped")
    return Grid(
        titles,
        tuple(table.columns),
        row_lines,
        "csv",
        delimiter=start.delimiter,
        notes=tuple(notes),
    )


def _fit(titles: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Drop the titles of columns that no row has; columns without a title have an empty one."""
    return (*titles[:width], *[""] * (width - len(titles)))


def _parse(text: Text, start: Start, end: int, width: int, lines: TextLines) -> pa.Table:
    """Return the cells as texts; of a large text, columns of plain numbers as float64, which halves time and memory."""
    plain = _plain_columns(text, start, end, width) if end > _LARGE else []
    for numbers in (plain, []) if plain else ([],):
        try:
            return _read_csv(text, start, end, width, numbers)
        except pa.ArrowException as error:
            if numbers:
                continue  # A cell is not a number: its line is found among the texts.
            raise MarketDataError(lines.problem(width, start.delimiter) or _shorten_error(error)) from error
    raise AssertionError("the last attempt returns or raises")


def _read_csv(text: Text, start: Start, end: int, width: int, numbers: list[int]) -> pa.Table:
    names = [str(position) for position in range(width)]
    types = dict.fromkeys(names, pa.string()) | {str(position): pa.float64() for position in numbers}
    return arrow_csv.read_csv(
        pa.BufferReader(pa.py_buffer(memoryview(text)[start.first.start : end])),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=4 * 1024**2),
        parse_options=arrow_csv.ParseOptions(delimiter=start.delimiter),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, null_values=[], check_utf8=False
        ),
    )


def _plain_columns(text: Text, start: Start, end: int, width: int) -> list[int]:
    """Return the columns whose first and last values are plain numbers with a decimal point, none of which could be in
    groups of thousands; without the columns that may be times."""
    head = (
        bytes(text[start.first.start : start.first.start + MAX_LINE])
        .decode("utf-8", "replace")
        .splitlines()[:-1]
    )
    tail = (
        bytes(text[max(end - MAX_LINE, start.first.start) : end]).decode("utf-8", "replace").splitlines()[1:]
    )
    rows = [cells for line in (*head, *tail) if len(cells := cells_of(line, start.delimiter)) == width]
    titles = start.titles or ()
    columns = []
    for position in range(1, width):
        if position < len(titles) and set(roles_of(titles[position])) & _KEPT_AS_TEXT:
            continue
        values = [row[position] for row in rows]
        if all(_PLAIN_NUMBER.fullmatch(value) for value in values) and not all(
            _GROUPED.fullmatch(value) for value in values
        ):
            columns.append(position)
    return columns


def _reject_untitled(table: pa.Table, titles: int, lines: Lines) -> None:
    """Reject rows with more cells than the header has titles; empty ones at the end are those of a last delimiter."""
    for column in table.columns[titles:]:
        if not pa.types.is_string(column.type):
            raise MarketDataError(
                f"the rows have {table.num_columns} cells, and the header has {titles} titles"
            )
        filled = pc.greater(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        reject_rows(filled, lines, f"more cells than the {titles} titles of the header")


def _shorten_error(error: Exception) -> str:
    return f"the rows of the file cannot be read: {shorten(str(error))}"


def _drop_blank_rows(table: pa.Table) -> tuple[pa.Table, npt.NDArray[np.intp] | None]:
    """Drop rows whose cells are all empty, as spreadsheets write them; return the kept rows if any were dropped."""
    empty = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if not pa.types.is_string(column.type):
            return table, None
        empty &= pc.equal(pc.binary_length(column), 0).to_numpy()
        if not empty.any():
            return table, None
    kept = np.flatnonzero(~empty)
    if not len(kept):
        raise MarketDataError("the file contains no rows below its header")
    return table.take(pa.array(kept)), kept
