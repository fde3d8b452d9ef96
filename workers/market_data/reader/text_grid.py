"""Find the table in a text: its delimiter, the lines above its header and below its last row, and its columns."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.encoding import Text
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.limits import MAX_COLUMNS, MAX_LINE, MAX_ROWS, check_table
from workers.market_data.reader.titles import NEEDED, ROLES_OF_TIME, flatten, is_header, roles_of
from workers.market_data.row_errors import Lines, reject_rows
from workers.strategy.quoting import shorten

_DELIMITERS = "\t;,|"
_HEAD_BYTES = 4 * MAX_LINE
_HEAD_LINES = 200
_FOOTER_LINES = 20
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
_LARGE = 4 * 1024**2
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_GROUPED = re.compile(r"-?\d{1,3}(\.\d{3})+")
_KEPT_AS_TEXT = {*ROLES_OF_TIME, "symbol", "period", "spread"}
_TIME_LIKE = re.compile(r"^[\"'\[(]*-?\d|^[\"']?(?:[A-Z][a-z]{2,8}\.?,? )+\d")
_NUMBER_LIKE = re.compile(r"^[\"'\s]*[^\w\s.,+-]{0,2}\s*[+-]?[\d.,'\s]*\d[\d.,'\s]*(?:e[+-]?\d+)?\s*\w{0,3}[\"'\s]*$", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    """In the file, from 1."""
    start: int
    """Byte at which it starts."""
    text: str


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the rows start, and what was found above them."""

    delimiter: str
    titles: tuple[str, ...] | None
    first: _Line
    skipped: int
    """Lines above the header that are not blank."""


def read_text_grid(text: Text) -> Grid:
    """Return the table of a text. Raises `MarketDataError` if it has none, or a row with too many or too few cells."""
    head = list(_lines(text))
    start = _find_start(head)
    end, footer = _find_end(text, start)
    width = _width(head, start)
    titles = None if start.titles is None else _fit(start.titles, width)
    first = text[start.first.start : start.first.start + 1]
    assert first, "a first row was found"
    lines = _TextLines(text, start.first.start, end, start.first.number)
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


def _lines(text: Text) -> Iterator[_Line]:
    """Return the first lines. Raises `MarketDataError` for one that is too long."""
    head = bytes(text[:_HEAD_BYTES])
    start = 0
    for number in range(1, _HEAD_LINES + 1):
        end = head.find(b"\n", start)
        if end < 0:
            end = len(head)
        if end - start > MAX_LINE:
            raise MarketDataError(
                f"line {number} has more than {MAX_LINE:,} bytes; the file is not a table of bars"
            )
        if start >= len(head) or (end == len(head) and len(text) > len(head)):
            return
        yield _Line(number, start, head[start:end].decode("utf-8", "replace").rstrip("\r"))
        start = end + 1


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line.replace("\r", " ")], delimiter=delimiter), [])
    except csv.Error:
        cells = line.split(delimiter)
    return [cell.strip() for cell in cells]


def _find_start(head: list[_Line]) -> _Start:
    """Find the header and the first row, or the first row of a file without a header."""
    filled = [line for line in head if line.text.strip(' ,;\t|"')]
    if not filled:
        raise MarketDataError("the file is empty")
    declared = _SEPARATOR_LINE.match(filled[0].text.strip())
    if declared or filled[0].text.strip().lower() == "sep=":
        filled = filled[1:]
    delimiters = declared.group(1) if declared else _DELIMITERS
    for position, line in enumerate(filled):
        for delimiter in delimiters:
            titles = _cells(line.text, delimiter) if delimiter in line.text else []
            if len(titles) > MAX_COLUMNS:
                check_table(0, len(titles), 0)
            if len(titles) > len(NEEDED) and is_header(plain := flatten(titles)):
                return _below_header(filled, position, delimiter, plain)
    for position, line in enumerate(filled):
        for delimiter in delimiters:
            if _is_bar(cells := _cells(line.text, delimiter)):
                if position and _is_unknown_header(_cells(filled[position - 1].text, delimiter), len(cells)):
                    raise MarketDataError(_no_header(filled[position - 1].text, filled[position - 1].number))
                return _Start(delimiter, None, line, position)
    raise MarketDataError(_no_header(filled[0].text))


def _below_header(filled: list[_Line], position: int, delimiter: str, titles: list[str]) -> _Start:
    """Skip the further title lines of a MultiIndex (`Ticker,XY,XY` and `Date,,,`)."""
    price = next(i for i, title in enumerate(titles) if "close" in roles_of(title))
    above = [line.text for line in filled[:position]]
    for line in filled[position + 1 :]:
        cells = _cells(line.text, delimiter)
        if (len(cells) > price and _is_number(cells[price])) or any(_TIME_LIKE.match(cell) for cell in cells):
            named = _name_index(titles, [_cells(text, delimiter) for text in above])
            extra = sum(not _is_title_line(text, delimiter, len(titles)) for text in above)
            return _Start(delimiter, tuple(named), line, extra)
        above.append(line.text)
    raise MarketDataError("the file contains no rows below its header")


def _is_title_line(text: str, delimiter: str, columns: int) -> bool:
    """Whether the line is one of several header lines, such as `Ticker,XY,XY`."""
    return len(_cells(text, delimiter)) == columns


def _name_index(titles: list[str], other_lines: list[list[str]]) -> list[str]:
    """Name the first column by a further header line (`Date,,,`) if its own title is that of the MultiIndex."""
    if titles and titles[0].lower() in ("price", "ticker", "", "attributes"):
        for cells in other_lines:
            if cells and cells[0].lower() in ("date", "datetime", "time", "timestamp"):
                return [cells[0], *titles[1:]]
        return ["time", *titles[1:]]
    return titles


def _is_number(cell: str) -> bool:
    return bool(_NUMBER_LIKE.match(cell))


def _is_bar(cells: list[str]) -> bool:
    return len(cells) >= 5 and bool(_TIME_LIKE.match(cells[0])) and sum(map(_is_number, cells[-4:])) >= 3


def _is_unknown_header(cells: list[str], columns: int) -> bool:
    """Whether a line above the first row has a title for each column, so that its columns are not in the usual order."""
    return len(cells) == columns and all(cells) and not any(map(_is_number, cells))


def _no_header(first: str, line: int = 1) -> str:
    delimiter = max(_DELIMITERS, key=first.count)
    found = _cells(first, delimiter)
    roles = {role for title in found for role in roles_of(title)}
    missing = [name for name in NEEDED if name not in roles]
    columns = (
        ", ".join(missing) if len(found) > 1 and len(missing) < len(NEEDED) else "open, high, low and close"
    )
    return f"no line of the file has the titles of bars: the column {columns} is missing (line {line}: {shorten(first.strip())})"


def _width(head: list[_Line], start: _Start) -> int:
    """Return the number of cells that most of the first rows have."""
    rows = [line.text for line in head if line.start >= start.first.start and line.text.strip()]
    counts = [len(_cells(row, start.delimiter)) for row in rows]
    titles = len(start.titles or ())
    # A single row, or as many short rows as long ones: the header decides.
    width = max(set(counts), key=lambda count: (counts.count(count), count == titles, count))
    if width > MAX_COLUMNS:
        check_table(0, width, 0)
    return width


def _fit(titles: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Drop the titles of columns that no row has; columns without a title have an empty one."""
    return (*titles[:width], *[""] * (width - len(titles)))


def _find_end(text: Text, start: _Start) -> tuple[int, int]:
    """Return the byte at which the rows end, and the number of lines below them that are not rows."""
    end = len(text)
    footer = 0
    for _ in range(_FOOTER_LINES):
        while end > start.first.start and text[end - 1 : end] in (b"\n", b"\r"):
            end -= 1
        begin = max(text.rfind(b"\n", max(0, end - MAX_LINE), end) + 1, start.first.start)
        line = bytes(text[begin:end]).decode("utf-8", "replace").strip()
        cells = _cells(line, start.delimiter) if line else []
        if begin <= start.first.start or _is_row(cells):
            break
        end = begin
        footer += bool(line.strip(' ,;\t|"'))
    return end, footer


def _is_row(cells: list[str]) -> bool:
    """Whether a line can be a row, perhaps an incomplete one: it has a time, or as many numbers as a bar."""
    return any(_TIME_LIKE.match(cell) for cell in cells[:2]) or sum(map(_is_number, cells)) >= 4


def _parse(text: Text, start: _Start, end: int, width: int, lines: "_TextLines") -> pa.Table:
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


def _read_csv(text: Text, start: _Start, end: int, width: int, numbers: list[int]) -> pa.Table:
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


def _plain_columns(text: Text, start: _Start, end: int, width: int) -> list[int]:
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
    rows = [cells for line in (*head, *tail) if len(cells := _cells(line, start.delimiter)) == width]
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


class _TextLines:
    """The lines of the rows, found only when they are needed."""

    def __init__(self, text: Text, start: int, end: int, first: int) -> None:
        self._text, self._start, self._end, self._first = text, start, end, first
        self._filled: npt.NDArray[np.int64] | None = None

    def count(self) -> int:
        """Return the number of lines, blank ones included."""
        view = np.frombuffer(self._text, np.uint8)[self._start : self._end]
        step = 16 * 1024**2
        return 1 + sum(int((view[at : at + step] == 10).sum()) for at in range(0, len(view), step))

    def find(self, row: int) -> int:
        """Return the line of a row: blank lines are lines, but not rows."""
        if self._filled is None:
            view = np.frombuffer(self._text, np.uint8)[self._start : self._end]
            ends = np.append(np.flatnonzero(view == 10), len(view))
            starts = np.append(0, ends[:-1] + 1)
            blank = (ends - starts == 0) | (
                (ends - starts == 1) & (view[np.minimum(starts, len(view) - 1)] == 13)
            )
            self._filled = np.flatnonzero(~blank).astype(np.int64)
        return int(self._filled[row]) + self._first if row < len(self._filled) else self._first + row

    def problem(self, width: int, delimiter: str) -> str | None:
        """Describe the first row that does not have `width` cells."""
        position, number = self._start, self._first
        while position < self._end:
            end = self._text.find(b"\n", position, self._end)
            end = self._end if end < 0 else end
            if end - position > MAX_LINE:
                return f"line {number} has more than {MAX_LINE:,} bytes"
            line = bytes(self._text[position:end]).decode("utf-8", "replace").rstrip("\r")
            count = len(_cells(line, delimiter)) if line else width
            if count != width:
                ending = "is incomplete: it " if count < width else ""
                return f"line {number} {ending}has {count} cells, and the rows above have {width} ({shorten(line)})"
            position, number = end + 1, number + 1
        return None
