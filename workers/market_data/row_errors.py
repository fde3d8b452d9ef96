"""Reject a file with the line numbers of its first invalid rows."""

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt

from workers.market_data.errors import MarketDataError
from workers.strategy.quoting import shorten

NAMED_ROWS = 3
_LONGEST_VALUE = 30

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Lines:
    """Maps rows to their lines in the file. Lines are counted only when a row is rejected."""

    def __init__(self, find: Callable[[int], int], rows: Rows | None = None, unit: str = "line") -> None:
        self._find = find
        self._rows = rows
        self.unit = unit
        """`line` of a text, `row` of a typed file."""

    def __getitem__(self, row: int) -> int:
        return self._find(int(row if self._rows is None else self._rows[row]))

    def take(self, rows: Rows) -> Self:
        """Return the lines of a selection of the rows."""
        return type(self)(self._find, rows if self._rows is None else self._rows[rows], self.unit)

    def name(self, row: int) -> str:
        return f"{self.unit} {self[row]}"


def reject_rows(invalid: Flags, lines: Lines, problem: str, values: npt.ArrayLike | None = None) -> None:
    """Raise `MarketDataError` with the lines of the `invalid` rows and their `values`, if there are any."""
    rows = np.flatnonzero(invalid)
    if not len(rows):
        return
    texts = None if values is None else np.asarray(values, dtype=object)
    names = [
        lines.name(row) + ("" if texts is None else f" ({_shorten_value(texts[row])})")
        for row in rows[:NAMED_ROWS]
    ]
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    raise MarketDataError(f"{problem} at {', '.join(names)}{more}")


def _shorten_value(value: object) -> str:
    text = str(value)
    return shorten(text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…")
