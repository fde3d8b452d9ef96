"""Parse numbers as files write them: decimal and thousands marks, currency signs, and suffixes such as 1.2M."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.grid import head_texts, is_text
from workers.market_data.row_errors import Lines, reject_rows

Decimal = Literal[".", ","]
Floats = npt.NDArray[np.float64]

_GROUPED = {mark: rf"^[+-]?(?:[1-9]\d{{0,2}}(?:\{mark}\d{{3}})+|\d{{1,3}})$" for mark in ".,"}
_WELL_GROUPED = r"^[+-]?\d{1,3}(?:MARK\d{2,3})*MARK\d{3}(?:[^\dMARK]|$)"
_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks in the numbers of a file."""

    decimal: Decimal
    thousands: str
    """Empty if thousands are not marked."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Signs of the language of a file, beside its numbers."""

    delimiter: str
    has_german_dates: bool
    """Dates such as 31.12.2024."""


def find_marks(
    prices: Sequence[pa.ChunkedArray],
    volume: pa.ChunkedArray | None,
    surroundings: Surroundings,
    chosen: Decimal | None,
) -> Marks:
    """Return the marks of the numbers, by the way in which all of them are written.

    Raises `MarketDataError` if `61.234` may be either 61234 or 61.234, and the option `decimal` was not given.
    """
    texts = [column for column in prices if is_text(column)]
    if chosen is not None:
        return Marks(chosen, _other(chosen) if texts else "", "chosen")
    if not texts:
        return Marks(".", "")
    sample = [text for column in texts for text in head_texts(column)]
    points, commas = (any(mark in text for text in sample) for mark in ".,")
    if not commas and not points:
        return _marks_of_integers(texts)
    if commas and points:
        return _marks_in_order(sample)
    mark: Decimal = "." if points else ","
    if not all(_is_grouped(column, mark) for column in texts):
        return Marks(mark, _other(mark) if mark == "," else "")
    return _marks_of_groups(mark, texts, volume, surroundings)


def _marks_of_integers(columns: Sequence[pa.ChunkedArray]) -> Marks:
    return Marks("," if any(_contains(column, ",") for column in columns) else ".", "")


def _marks_in_order(sample: list[str]) -> Marks:
    """Both marks occur: in `1.234,56` the last one is the decimal mark."""
    both = [text for text in sample if "." in text and "," in text]
    if both:
        decimal: Decimal = "," if all(text.rfind(",") > text.rfind(".") for text in both) else "."
        return Marks(decimal, _other(decimal))
    grouped = all(re.fullmatch(_GROUPED[","], _strip(text)) for text in sample if "," in text)
    with_point, with_comma = (sum(mark in text for text in sample) for mark in ".,")
    return Marks(".", ",") if grouped or with_point > with_comma else Marks(",", ".")


def _marks_of_groups(
    mark: Decimal, columns: Sequence[pa.ChunkedArray], volume: pa.ChunkedArray | None, around: Surroundings
) -> Marks:
    """Decide between `61.234` as 61234 and as 61.234, where every number has groups of three digits."""
    if any(pc.any(pc.greater(pc.count_substring(column, mark), 1)).as_py() for column in columns):
        return Marks(_other(mark), mark, "some numbers have the mark twice")
    has_grouped_volume = (
        volume is None or not is_text(volume) or _is_grouped(volume, mark) or not _contains(volume, mark)
    )
    german = around.delimiter == ";" and around.has_german_dates
    if mark == ".":
        if not german and around.delimiter != ";" and not around.has_german_dates:
            return Marks(".", "", "three decimals")
        volume_is_grouped = (
            volume is not None and is_text(volume) and _contains(volume, mark) and _is_grouped(volume, mark)
        )
        if german and (volume_is_grouped or volume is None):
            return Marks(",", ".", "semicolons, dates such as 31.12.2024 and three digits after every point")
    elif around.delimiter == "," and has_grouped_volume:
        return Marks(".", ",", "three digits after every comma in a file with commas between its columns")
    first = head_texts(columns[0], 1)[0]
    plain, grouped = first.replace(mark, ""), first.replace(mark, ".")
    raise MarketDataError(
        f"the number {first[:30]} may be {plain[:30]} or {grouped[:30]}: set decimal to the decimal mark of the file, "
        "which is a point (.) or a comma (,)"
    )


def _is_grouped(column: pa.ChunkedArray, mark: str) -> bool:
    """Whether every number is written in groups of three digits, such as 61.234."""
    if not all(re.fullmatch(_GROUPED[mark], _strip(text)) for text in head_texts(column)):
        return False
    cleaned = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"[^\d.,+\-]", "")
    return bool(pc.all(pc.match_substring_regex(cleaned, _GROUPED[mark])).as_py())


def _contains(column: pa.ChunkedArray, mark: str) -> bool:
    return bool(pc.any(pc.match_substring(column, mark)).as_py())


def _other(mark: str) -> Decimal:
    return "," if mark == "." else "."


def _strip(text: str) -> str:
    return re.sub(r"[^\d.,+\-]", "", text)


def parse_numbers(column: pa.ChunkedArray, marks: Marks, lines: Lines, name: str) -> Floats:
    """Return float64[n]. Raises `MarketDataError` with the rows that are missing or not numbers."""
    if not is_text(column):
        return _typed_numbers(column, lines, name)
    if marks.decimal == "." and not marks.thousands:
        try:
            return np.asarray(column.cast(pa.float64()).to_numpy())
        except pa.ArrowException:
            pass  # Some cells have blanks, currency signs or no number at all.
    return _parse_decorated(column, marks, lines, name)


def _typed_numbers(column: pa.ChunkedArray, lines: Lines, name: str) -> Floats:
    try:
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.string())  # Rounded correctly, unlike the quotient of two floats.
        numbers = column.cast(pa.float64(), safe=False)
    except pa.ArrowException as error:
        raise MarketDataError(
            f"the column {name} has the type {column.type}, which is not a number"
        ) from error
    if numbers.null_count:
        reject_rows(
            pc.is_null(numbers).to_numpy(zero_copy_only=False), lines, f"{name} is missing or not a number"
        )
    return np.asarray(numbers.to_numpy(), dtype=np.float64)


def _parse_decorated(column: pa.ChunkedArray, marks: Marks, lines: Lines, name: str) -> Floats:
    texts = pc.replace_substring_regex(column, r"[\s\x{00a0}\x{202f}'\"$€£¥₹%_]|[A-Z]{3}\s*$", "")
    grouped = np.ones(len(column), dtype=bool)
    if marks.thousands:
        grouped = _are_grouped(texts, marks.thousands)
        texts = pc.replace_substring(texts, marks.thousands, "")
    if marks.decimal == ",":
        texts = pc.replace_substring(texts, ",", ".")
    factors = np.ones(len(column))
    if pc.any(pc.match_substring_regex(texts, r"\d[kKmMbB]$")).as_py():
        factors, texts = _suffixes(texts)
    valid = grouped & pc.match_substring_regex(texts, _PLAIN).to_numpy(zero_copy_only=False)
    if not valid.all():
        reject_rows(~valid, lines, f"{name} is missing or not a number", column.to_pylist())
    texts = pc.replace_substring_regex(texts, r"^\+", "")
    return np.asarray(texts.cast(pa.float64()).to_numpy() * factors)


def _are_grouped(texts: pa.ChunkedArray, mark: str) -> npt.NDArray[np.bool_]:
    """Return which numbers have no mark, or one before each group of digits: `1.234,5` and `1,23,456`, not `1.2.3`."""
    pattern = _WELL_GROUPED.replace("MARK", re.escape(mark))
    plain = pc.invert(pc.match_substring(texts, mark))
    return np.asarray(pc.or_(plain, pc.match_substring_regex(texts, pattern)))


def _suffixes(texts: pa.ChunkedArray) -> tuple[Floats, pa.ChunkedArray]:
    last = pc.utf8_lower(pc.utf8_slice_codeunits(texts, -1, None))
    factors = np.ones(len(texts))
    for suffix, factor in _SUFFIXES.items():
        factors[pc.equal(last, suffix).to_numpy(zero_copy_only=False)] = factor
    return factors, pc.replace_substring_regex(texts, r"[kKmMbB]$", "")


def count_decimals(columns: Sequence[pa.ChunkedArray], marks: Marks) -> int:
    """Return the largest number of decimals that a price has; of typed numbers, in their shortest form."""
    most = 0
    for column in columns:
        texts = column if is_text(column) else column.slice(0, 10_000).cast(pa.float64()).cast(pa.string())
        decimals = pc.replace_substring_regex(
            texts, rf"^[^{re.escape(marks.decimal)}]*[{re.escape(marks.decimal)}]?", ""
        )
        most = max(most, pc.max(pc.binary_length(decimals)).as_py() or 0)
    return most
