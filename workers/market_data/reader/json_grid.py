"""Read bars from JSON: arrays of arrays (ccxt, Binance), arrays of objects, or an object of arrays."""

import json
from typing import Any

import pyarrow as pa

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.encoding import Text
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.limits import MAX_CELL, MAX_COLUMNS, MAX_JSON_BYTES, check_bytes, check_table
from workers.market_data.reader.titles import flatten, is_header
from workers.market_data.row_errors import Lines
from workers.strategy.quoting import shorten

_DEPTH = 4


def read_json_grid(text: Text) -> Grid:
    """Raises `MarketDataError` if the file is not valid JSON, or contains no table of bars."""
    check_bytes(len(text), MAX_JSON_BYTES)
    content = bytes(text[:])
    try:
        document = _load(content)
    except (ValueError, RecursionError) as error:
        raise MarketDataError(f"the file is JSON that cannot be read: {shorten(str(error))}") from error
    table = _find_table(document, _DEPTH)
    if table is None:
        raise MarketDataError(
            "the JSON file contains no array of bars; write CSV, or rows of [time, open, high, low, close]"
        )
    titles, rows = table
    check_table(len(rows), len(titles or rows[0]), len(text))
    columns = tuple(
        pa.chunked_array([pa.array([_text(row, position) for row in rows], pa.string())])
        for position in range(len(titles or rows[0]))
    )
    return Grid(titles, columns, Lines(lambda row: row + 1, unit="row"), "json")


def _load(content: bytes) -> Any:
    """Return the document, or the list of the documents of a file with one in each line."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        return [json.loads(line) for line in content.splitlines() if line.strip()]


Table = tuple[tuple[str, ...] | None, list[list[Any]]]


def _find_table(value: Any, depth: int) -> Table | None:
    """Return the titles and rows of the first table in the document, also below a few keys (`{"result": {...}}`)."""
    if isinstance(value, list) and value:
        return _rows_of_list(value)
    if not isinstance(value, dict) or depth == 0:
        return None
    lists = {str(key): column for key, column in value.items() if isinstance(column, list) and column}
    if (
        lists
        and is_header(flatten(list(lists)))
        and not any(isinstance(column[0], list) for column in lists.values())
    ):
        return _rows_of_columns(lists)
    tables = [table for inner in value.values() if (table := _find_table(inner, depth - 1)) is not None]
    return max(tables, key=lambda table: len(table[1]), default=None)


def _rows_of_list(rows: list[Any]) -> Table | None:
    first = rows[0]
    if isinstance(first, list) and 5 <= len(first) <= MAX_COLUMNS:
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, list) or len(row) != len(first):
                raise MarketDataError(
                    f"row {number} of the JSON array does not have {len(first)} values like the first"
                )
        titles = tuple(map(str, first)) if all(isinstance(cell, str) for cell in first) else None
        if titles is not None and is_header(flatten(list(titles))):
            return (titles, rows[1:]) if len(rows) > 1 else None
        return None, rows
    if isinstance(first, dict) and is_header(flatten(list(map(str, first)))):
        names = list(first)
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict):
                raise MarketDataError(f"row {number} of the JSON array is not an object like the first")
        return tuple(map(str, names)), [[row.get(name) for name in names] for row in rows]
    return None


def _rows_of_columns(columns: dict[str, list[Any]]) -> Table:
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise MarketDataError(
            f"the arrays of the JSON object have different lengths: {min(lengths)} to {max(lengths)}"
        )
    return tuple(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _text(row: list[Any], position: int) -> str:
    value = row[position]
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)[:MAX_CELL]
