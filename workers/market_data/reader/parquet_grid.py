"""Read the tables of Parquet and Feather files, within limits that their metadata show before any value is read."""

import json
import mmap

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.limits import MAX_CELL, check_bytes, check_table
from workers.market_data.reader.titles import flatten, roles_of
from workers.market_data.row_errors import Lines
from workers.strategy.quoting import shorten

_ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)


def read_parquet_grid(content: mmap.mmap) -> Grid:
    """Raises `MarketDataError` for a damaged file, and for one that is too large by its footer."""
    try:
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)))
        footer = file.metadata
        schema = file.schema_arrow
    except _ERRORS as error:
        raise MarketDataError(f"the Parquet file cannot be read: {_first_line(error)}") from error
    check_table(footer.num_rows, len(schema), len(content))
    names, index = _columns_of_bars(schema)
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    check_bytes(sum(group.total_byte_size for group in groups))
    texts = [name for name in names if _is_text(schema.field(name).type)]
    try:
        reader = pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)), read_dictionary=texts)
        table = reader.read(columns=names, use_pandas_metadata=False)
    except _ERRORS as error:
        raise MarketDataError(f"the Parquet file cannot be read: {_first_line(error)}") from error
    return _grid(table, schema, index, "parquet")


def read_feather_grid(content: mmap.mmap) -> Grid:
    """Raises `MarketDataError` for a damaged file, and for one that has too many rows."""
    try:
        source = pa.BufferReader(pa.py_buffer(content))
        schema = pa.ipc.open_file(source).schema
        check_table(_count_rows(source), len(schema), len(content))
        names, index = _columns_of_bars(schema)
        positions = [schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=positions)
        table = pa.ipc.open_file(source, options=options).read_all()
    except _ERRORS as error:
        raise MarketDataError(f"the Feather file cannot be read: {_first_line(error)}") from error
    return _grid(table.select(names), schema, index, "feather")


def _count_rows(source: pa.BufferReader) -> int:
    """Count the rows from the headers of the record batches."""
    fragment = ds.IpcFileFormat().make_fragment(source)
    return int(fragment.count_rows())


def _columns_of_bars(schema: pa.Schema) -> tuple[list[str], str | None]:
    """Return the columns that may be part of bars, and the index that pandas declared."""
    index = _index_of(schema)
    if len(set(schema.names)) < len(schema.names):
        repeated = sorted({name for name in schema.names if schema.names.count(name) > 1 and roles_of(name)})
        if repeated:
            raise MarketDataError(f"the file has two columns {shorten(repeated[0])}")
    plain = flatten(list(schema.names))
    names = [
        name
        for name, title in zip(schema.names, plain, strict=True)
        if (roles_of(title) or name == index or name == schema.names[0]) and schema.names.count(name) == 1
    ]
    nested = [name for name in names if pa.types.is_nested(schema.field(name).type)]
    return [name for name in names if name not in nested], index


def _index_of(schema: pa.Schema) -> str | None:
    try:
        described = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
    except (KeyError, ValueError, TypeError):
        return None
    names = [name for name in described if isinstance(name, str) and name in schema.names]
    times = [name for name in names if pa.types.is_temporal(schema.field(name).type)]
    return next(iter(times or names), None)


def _grid(table: pa.Table, schema: pa.Schema, index: str | None, source: str) -> Grid:
    if not table.num_rows:
        raise MarketDataError("the file contains no rows")
    columns = tuple(_plain(name, table[name]) for name in table.column_names)
    unread = tuple(name for name in schema.names if name not in table.column_names)
    return Grid(
        tuple(table.column_names),
        columns,
        Lines(lambda row: row + 1, unit="row"),
        source,
        index=table.column_names.index(index) if index is not None else None,
        unread=unread,
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _plain(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts as plain texts. One long text that repeats in every row expands to gigabytes: it is rejected."""
    if not pa.types.is_dictionary(column.type):
        return column
    values = pc.unique(column)
    dictionary = values.dictionary if isinstance(values, pa.DictionaryArray) else values
    longest = pc.max(pc.binary_length(dictionary)).as_py() if len(dictionary) else 0
    if (longest or 0) > MAX_CELL:
        raise MarketDataError(f"the column {shorten(name)} has texts of more than {MAX_CELL} characters")
    return column.cast(pa.string())


def _first_line(error: Exception) -> str:
    return shorten(str(error).splitlines()[0] if str(error) else type(error).__name__)
