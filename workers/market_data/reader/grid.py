"""A table as the file contains it, before its columns have a meaning."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa

from workers.market_data.row_errors import Lines


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Columns of equal length: texts of a text file, or typed values. `titles` is None if the file has no header."""

    titles: tuple[str, ...] | None
    columns: tuple[pa.ChunkedArray, ...]
    lines: Lines
    source: str
    """`csv`, `json`, `parquet`, `feather` or `excel`."""
    index: int | None = None
    """Position of the column that the file declares as its index."""
    delimiter: str = ""
    encoding: str = ""
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """Titles of columns that were not read because they are not part of bars."""

    @property
    def rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def part(self, start: int, rows: int) -> Self:
        """Return some of the rows."""
        columns = tuple(column.slice(start, rows) for column in self.columns)
        return replace(
            self, columns=columns, lines=self.lines.take(np.arange(start, start + len(columns[0])))
        )


def is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def head_texts(column: pa.ChunkedArray, rows: int = 200) -> list[str]:
    """Return the first values as stripped texts."""
    return ["" if value is None else str(value).strip() for value in column.slice(0, rows).to_pylist()]
