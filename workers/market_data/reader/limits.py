"""Limits that are checked before a file is parsed: a file of a few kilobytes can expand to gigabytes."""

from workers.market_data.errors import MarketDataError

MAX_BYTES = 1024**3
"""Bytes of the unpacked content."""
MAX_ROWS = 10_000_000
"""Twenty years of one-minute bars have seven million."""
MAX_COLUMNS = 1000
MAX_LINE = 64 * 1024
"""Bytes of a line."""
MAX_JSON_BYTES = 64 * 1024**2
MAX_WORKBOOK_BYTES = 256 * 1024**2
MAX_CELL = 200
"""Characters of a time or a number in a typed file."""

_MOST_EXPANSION = 250
_REPEATED_ROWS = 100_000
_LEAST_BYTES_A_ROW = 1.0
"""Bars compress to 8 bytes a row and more; a file with less repeats one value."""


def check_bytes(size: int, limit: int = MAX_BYTES) -> None:
    """Raise `MarketDataError` if the unpacked content is too large."""
    if size > limit:
        raise MarketDataError(f"the file unpacks to more than {limit:,} bytes; split it by date")


def check_expansion(packed: int, unpacked: int) -> None:
    """Raise `MarketDataError` if content expands as bars never do."""
    if unpacked > 2**20 and unpacked > packed * _MOST_EXPANSION:
        raise MarketDataError(
            f"the file expands from {packed:,} to more than {unpacked:,} bytes, as repeated values do; "
            "it does not contain bars"
        )


def check_table(rows: int, columns: int, size: int) -> None:
    """Raise `MarketDataError` if a table that takes `size` bytes has too many rows or columns."""
    if columns > MAX_COLUMNS:
        raise MarketDataError(f"the file has {columns:,} columns; the limit is {MAX_COLUMNS:,}")
    if rows > MAX_ROWS:
        raise MarketDataError(f"the file has {rows:,} rows; the limit is {MAX_ROWS:,}, so split it by date")
    if rows > _REPEATED_ROWS and size < rows * _LEAST_BYTES_A_ROW:
        raise MarketDataError(
            f"the file has {rows:,} rows in {size:,} bytes: its values repeat, so it does not contain bars"
        )
