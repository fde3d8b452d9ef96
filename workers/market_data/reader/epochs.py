"""Parse times that are numbers: seconds to nanoseconds since 1970, or days of a spreadsheet."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from workers.market_data.row_errors import Lines, reject_rows

Nanoseconds = npt.NDArray[np.int64]

_UNITS = (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1))
_LEAST = (1e11, 1e14, 1e17)
"""Magnitudes from which numbers are milliseconds, microseconds and nanoseconds: seconds up to the year 5138."""
_LARGEST = 2**63 - 1
_EXCEL_EPOCH_DAYS = 25_569
"""1970-01-01 as days since 1899-12-30."""
_DAY = 86_400_000_000_000


def parse_epochs(column: pa.ChunkedArray, lines: Lines) -> tuple[Nanoseconds, str]:
    """Return the instants and the units found, such as `s` or `ms, us`: the unit of each row follows from its magnitude.

    Raises `MarketDataError` with the rows that are not numbers or lie outside the years 1678 to 2262.
    """
    texts = pc.utf8_trim_whitespace(column)
    whole = pc.replace_substring_regex(texts, r"\.0*$", "")
    try:
        numbers = whole.cast(pa.int64()).to_numpy()
        fractions = None
    except pa.ArrowException:
        numbers, fractions = _parse_fractions(texts, column, lines)
    unit = np.searchsorted(_LEAST, np.abs(numbers.astype(np.float64)), side="right")
    factors = np.array([factor for _, factor in _UNITS], dtype=np.int64)[unit]
    reject_rows(
        np.abs(numbers.astype(np.float64)) * factors > _LARGEST, lines, "unreadable time", texts.to_numpy()
    )
    values = numbers * factors
    if fractions is not None:
        values = values + np.rint(fractions * factors).astype(np.int64)
    units = ", ".join(_UNITS[i][0] for i in np.unique(unit))
    return values, f"Unix time in {units}"


def _parse_fractions(
    texts: pa.ChunkedArray, column: pa.ChunkedArray, lines: Lines
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the whole part and the fraction of each number."""
    valid = pc.match_substring_regex(texts, r"^[+-]?\d+(\.\d*)?([eE]\+?\d+)?$").to_numpy(zero_copy_only=False)
    reject_rows(~valid, lines, "unreadable time", column.to_numpy())
    numbers = texts.cast(pa.float64()).to_numpy()
    reject_rows(np.abs(numbers) >= 2.0**63, lines, "unreadable time", column.to_numpy())
    whole = np.floor(numbers)
    return whole.astype(np.int64), numbers - whole


def parse_serials(column: pa.ChunkedArray, lines: Lines) -> Nanoseconds:
    """Return the local times of days since 1899-12-30, rounded to a second."""
    texts = pc.utf8_trim_whitespace(column)
    valid = pc.match_substring_regex(texts, r"^\d+(\.\d*)?$").to_numpy(zero_copy_only=False)
    reject_rows(~valid, lines, "unreadable time", column.to_numpy())
    days = texts.cast(pa.float64()).to_numpy()
    seconds = np.rint((days - _EXCEL_EPOCH_DAYS) * 86_400)
    return np.asarray(seconds, dtype=np.int64) * 1_000_000_000
