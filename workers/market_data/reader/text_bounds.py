"""Find the table in a text: its delimiter, the lines above its header and below its last row, and its columns."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.encoding import Text
from workers.market_data.reader.limits import MAX_COLUMNS, MAX_LINE, check_table
from workers.market_data.reader.titles import NEEDED, flatten, is_header, roles_of
from workers.strategy.quoting import shorten

_DELIMITERS = "\t;,|"
_HEAD_BYTES = 4 * MAX_LINE
_HEAD_LINES = 200
_FOOTER_LINES = 20
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
_TIME_LIKE = re.compile(r"^[\"'\[(]*-?\d|^[\"']?(?:[A-Z][a-z]{2,8}\.?,? )+\d")
_NUMBER_LIKE = re.compile(r"^[\"'\s]*[^\w\s.,+-]{0,2}\s*[+-]?[\d.,'\s]*\d[\d.,'\s]*(?:e[+-]?\d+)?\s*\w{0,3}[\"'\s]*$", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """In the file, from 1."""
    start: int
    """Byte at which it starts."""
    text: str


@dataclass(frozen=True, slots=True)
class Start:
    """Where the rows start, and what was found above them."""

    delimiter: str
    titles: tuple[str, ...] | None
    first: Line
    skipped: int
    """Lines above the header that are not blank."""


def first_lines(text: Text) -> Iterator[Line]:
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
        yield Line(number, start, head[start:end].decode("utf-8", "replace").rstrip("\r"))
        start = end + 1


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line without the blanks around them."""
    try:
        cells = next(csv.reader([line.replace("\r", " ")], delimiter=delimiter), [])
    except csv.Error:
        cells = line.split(delimiter)
    return [cell.strip() for cell in cells]


def find_start(head: list[Line]) -> Start:
    """Find the header and the first row, or the first row of a file without a header. Raises `MarketDataError`."""
    filled = [line for line in head if line.text.strip(' ,;\t|"')]
    if not filled:
        raise MarketDataError("the file is empty")
    declared = _SEPARATOR_LINE.match(filled[0].text.strip())
    if declared or filled[0].text.strip().lower() == "sep=":
        filled = filled[1:]
    delimiters = declared.group(1) if declared else _DELIMITERS
    for position, line in enumerate(filled):
        for delimiter in delimiters:
            titles = cells_of(line.text, delimiter) if delimiter in line.text else []
            if len(titles) > MAX_COLUMNS:
                check_table(0, len(titles), 0)
            if len(titles) > len(NEEDED) and is_header(plain := flatten(titles)):
                return _below_header(filled, position, delimiter, plain)
    for position, line in enumerate(filled):
        for delimiter in delimiters:
            if _is_bar(cells := cells_of(line.text, delimiter)):
                if position and _is_unknown_header(
                    cells_of(filled[position - 1].text, delimiter), len(cells)
                ):
                    raise MarketDataError(_no_header(filled[position - 1].text, filled[position - 1].number))
                return Start(delimiter, None, line, position)
    raise MarketDataError(_no_header(filled[0].text))


def _below_header(filled: list[Line], position: int, delimiter: str, titles: list[str]) -> Start:
    """Skip the further title lines of a MultiIndex (`Ticker,XY,XY` and `Date,,,`)."""
    price = next(i for i, title in enumerate(titles) if "close" in roles_of(title))
    above = [line.text for line in filled[:position]]
    for line in filled[position + 1 :]:
        cells = cells_of(line.text, delimiter)
        if (len(cells) > price and _is_number(cells[price])) or any(_TIME_LIKE.match(cell) for cell in cells):
            named = _name_index(titles, [cells_of(text, delimiter) for text in above])
            extra = sum(not _is_title_line(text, delimiter, len(titles)) for text in above)
            return Start(delimiter, tuple(named), line, extra)
        above.append(line.text)
    raise MarketDataError("the file contains no rows below its header")


def _is_title_line(text: str, delimiter: str, columns: int) -> bool:
    """Whether the line is one of several header lines, such as `Ticker,XY,XY`."""
    return len(cells_of(text, delimiter)) == columns


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
    titles = cells_of(first, delimiter)
    roles = {role for title in titles for role in roles_of(title)}
    missing = [name for name in NEEDED if name not in roles]
    columns = (
        ", ".join(missing) if len(titles) > 1 and len(missing) < len(NEEDED) else "open, high, low and close"
    )
    return f"no line of the file has the titles of bars: the column {columns} is missing (line {line}: {shorten(first.strip())})"


def width_of(head: list[Line], start: Start) -> int:
    """Return the number of cells that most of the first rows have."""
    rows = [line.text for line in head if line.start >= start.first.start and line.text.strip()]
    counts = [len(cells_of(row, start.delimiter)) for row in rows]
    titles = len(start.titles or ())
    # A single row, or as many short rows as long ones: the header decides.
    width = max(set(counts), key=lambda count: (counts.count(count), count == titles, count))
    if width > MAX_COLUMNS:
        check_table(0, width, 0)
    return width


def find_end(text: Text, start: Start) -> tuple[int, int]:
    """Return the byte at which the rows end, and the number of lines below them that are not rows."""
    end = len(text)
    footer = 0
    for _ in range(_FOOTER_LINES):
        while end > start.first.start and text[end - 1 : end] in (b"\n", b"\r"):
            end -= 1
        begin = max(text.rfind(b"\n", max(0, end - MAX_LINE), end) + 1, start.first.start)
        line = bytes(text[begin:end]).decode("utf-8", "replace").strip()
        cells = cells_of(line, start.delimiter) if line else []
        if begin <= start.first.start or _is_row(cells):
            break
        end = begin
        footer += bool(line.strip(' ,;\t|"'))
    return end, footer


def _is_row(cells: list[str]) -> bool:
    """Whether a line can be a row, perhaps an incomplete one: it has a time, or as many numbers as a bar."""
    return any(_TIME_LIKE.match(cell) for cell in cells[:2]) or sum(map(_is_number, cells)) >= 4
