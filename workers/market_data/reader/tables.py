"""Read the table of a file by its format."""

from dataclasses import replace

from workers.market_data.reader.container import Container, Format
from workers.market_data.reader.encoding import to_utf8
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.json_grid import read_json_grid
from workers.market_data.reader.parquet_grid import read_feather_grid, read_parquet_grid
from workers.market_data.reader.text_grid import read_text_grid


def read_grid(container: Container) -> Grid:
    """Return the table of a file. Raises `MarketDataError`."""
    if container.format is not Format.TEXT:
        return read_typed_grid(container)
    text, encoding = to_utf8(container.content)
    return replace(read_text_grid(text), encoding=encoding)


def read_typed_grid(container: Container) -> Grid:
    """Return the table of a file that is not CSV."""
    match container.format:
        case Format.PARQUET:
            return read_parquet_grid(container.content)
        case Format.FEATHER:
            return read_feather_grid(container.content)
        case Format.EXCEL:
            from workers.market_data.reader.excel_grid import read_excel_grid  # openpyxl takes 0.2 s

            return read_excel_grid(container.content)
    text, encoding = to_utf8(container.content)
    return replace(read_json_grid(text), encoding=encoding)
