"""The numbers of bars, parsed from the columns of a file."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.market_data.bars import PRICES
from workers.market_data.reader.columns import Columns
from workers.market_data.reader.grid import head_texts, is_text
from workers.market_data.reader.numerals import Floats, Marks, count_decimals, parse_numbers
from workers.market_data.reader.spreads import read_spread
from workers.market_data.row_errors import Lines

Order = np.ndarray[Any, np.dtype[np.intp]] | None

_NO_VOLUME = ("", "-", "--", "nan", "null", "none", "n/a", "na")


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """The numbers from the oldest row to the newest; each float64[n]."""

    prices: dict[str, Floats]
    volume: Floats
    spread: Floats | None
    """As the file has it, in price or in points."""
    is_spread_quoted: bool
    """Whether the spread is that of bid and ask, so in price."""
    adjusted: Floats | None
    decimals: int
    """Most decimals of a price."""
    marks: Marks

    @classmethod
    def of(cls, columns: Columns, marks: Marks, lines: Lines, order: Order) -> Self:
        """Parse the columns. Raises `MarketDataError` with the rows that are missing or not numbers."""

        def numbers(role: str) -> Floats:
            return sort(parse_numbers(columns.by_role[role], marks, lines, role), order)

        spread = read_spread(columns.by_role, marks, lines)
        prices = [columns.by_role[name] for name in PRICES]
        return cls(
            prices={name: numbers(name) for name in PRICES},
            volume=_volume(columns, marks, lines, order),
            spread=None if spread is None else sort(spread, order),
            is_spread_quoted="spread" not in columns.by_role,
            adjusted=numbers("adjusted") if "adjusted" in columns.by_role else None,
            decimals=0 if spread is None else count_decimals(prices, marks),
            marks=marks,
        )


def sort(numbers: Floats, order: Order) -> Floats:
    return numbers if order is None else np.ascontiguousarray(numbers[order])


def _volume(columns: Columns, marks: Marks, lines: Lines, order: Order) -> Floats:
    """Return the traded volume, or the number of ticks if a broker has no volume; zeros if the file has neither."""
    for role in ("volume", "ticks"):
        column = columns.by_role.get(role)
        if column is not None and not _is_without_values(column):
            values = parse_numbers(column, marks, lines, role)
            if values.any():
                return sort(values, order)
    return np.zeros(len(columns.time))


def _is_without_values(column: pa.ChunkedArray) -> bool:
    if not is_text(column):
        return bool(column.null_count == len(column))
    if any(text.lower() not in _NO_VOLUME for text in head_texts(column)):
        return False
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    return bool(pc.all(pc.is_in(texts, pa.array(_NO_VOLUME))).as_py())
