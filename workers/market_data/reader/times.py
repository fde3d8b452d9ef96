"""Parse the times of a file: instants where the file contains offsets or epochs, local times otherwise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.epochs import parse_epochs, parse_serials
from workers.market_data.reader.grid import head_texts, is_text
from workers.market_data.reader.time_formats import ISO, Form, Kind, form_of, kind_of, month_number
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.sessions import NANOSECONDS_A_DAY
from workers.strategy.quoting import quote, shorten

Nanoseconds = npt.NDArray[np.int64]
Integers = npt.NDArray[np.int64]

_SECOND = 1_000_000_000
_UTC_NAMES = ("Z", "UTC", "GMT")
_CENTURY = 70
"""Two-digit years from 70 belong to the twentieth century."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Times of the rows in nanoseconds since 1970; int64[n]."""

    values: Nanoseconds
    form: str
    """How the file writes them, for the report."""
    are_instants: bool
    """Whether the values are UTC; local times of an unknown zone otherwise."""
    zone: str | None = None
    """IANA name behind each time of the file."""

    @property
    def are_dates(self) -> bool:
        return bool((self.values % NANOSECONDS_A_DAY == 0).all())


def parse_times(column: pa.ChunkedArray, lines: Lines) -> Times:
    """Parse a column of any type. Raises `MarketDataError` with the rows that cannot be read."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        reject_rows(pc.is_null(column).to_numpy(zero_copy_only=False), lines, "the time is missing")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _parse_typed(column)
    if not is_text(column):
        column = _as_texts(column)
    kind = kind_of(head_texts(column))
    if kind is Kind.EPOCH:
        return Times(*parse_epochs(column, lines), are_instants=True)
    if kind is Kind.SERIAL:
        return Times(parse_serials(column, lines), "days of a spreadsheet", are_instants=False)
    return _parse_texts(column, lines)


def _as_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise MarketDataError(f"the time column has the type {column.type}, which is not a time") from error


def _parse_typed(column: pa.ChunkedArray) -> Times:
    try:
        values = column.cast(pa.timestamp("ns", getattr(column.type, "tz", None))).to_numpy()
    except pa.ArrowException as error:
        raise MarketDataError("the times lie outside the years 1678 to 2262") from error
    zoned = getattr(column.type, "tz", None) is not None
    return Times(values.astype(np.int64), str(column.type), are_instants=zoned)


def join_date_and_clock(date: pa.ChunkedArray, clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts `date clock`; a clock time of digits is padded to HHMM or HHMMSS."""
    dates, clocks = (column if is_text(column) else column.cast(pa.string()) for column in (date, clock))
    clocks = pc.utf8_trim_whitespace(clocks)
    if kind_of(head_texts(clocks)) is Kind.CLOCK and ":" not in head_texts(clocks, 1)[0]:
        clocks = pc.replace_substring_regex(clocks, r"\.0*$", "")
        width = 4 if pc.max(pc.binary_length(clocks)).as_py() <= 4 else 6
        clocks = pc.utf8_lpad(clocks, width, "0")
        clocks = pc.replace_substring_regex(clocks, r"^(\d\d)(\d\d)(\d\d)?$", r"\1:\2:\3")
        clocks = pc.utf8_rtrim(clocks, ":")
    return pc.binary_join_element_wise(pc.utf8_trim_whitespace(dates), clocks, " ")


def _parse_texts(column: pa.ChunkedArray, lines: Lines) -> Times:
    first = next((text for text in head_texts(column) if text), "")
    form = form_of(first)
    if form is None:
        reject_rows(np.arange(len(column)) == 0, lines, "unreadable time", [first] * len(column))
        raise AssertionError("the first row was rejected")
    if form is ISO and (times := _parse_iso(column, first)) is not None:
        return times
    return _parse_form(pc.utf8_trim_whitespace(column), form, lines)


def _parse_iso(column: pa.ChunkedArray, first: str) -> Times | None:
    """Parse ISO 8601 times in one pass; None if a row is written in another way."""
    match = ISO.matches(first)
    assert match is not None
    zone = match.group("zone")
    if zone and (
        zone in _UTC_NAMES[1:] or "/" in zone or zone.startswith(("UTC", "GMT")) or match.group("half")
    ):
        return None
    try:
        values = column.cast(pa.timestamp("ns", "UTC" if zone else None))
    except pa.ArrowException:
        return None
    form = "YYYY-MM-DD" + (" HH:MM:SS" if match.group("hour") else "") + (" with an offset" if zone else "")
    return Times(values.to_numpy().astype(np.int64), form, are_instants=zone is not None)


def _parse_form(column: pa.ChunkedArray, form: Form, lines: Lines) -> Times:
    parts = pc.extract_regex(column, f"^{form.pattern}$").combine_chunks()
    if isinstance(parts, pa.ChunkedArray):
        parts = parts.chunk(0)
    unmatched = pc.is_null(parts).to_numpy(zero_copy_only=False)
    if unmatched.any():
        reject_rows(unmatched, lines, "unreadable time", column.to_pylist())
    dates, name = _dates(parts, form, column, lines)
    values = dates * NANOSECONDS_A_DAY + _clock(parts, column, lines)
    texts = _texts(parts, "zone")
    zones = pc.unique(texts).to_pylist()
    clock = " with a clock time" if pc.max(pc.binary_length(_texts(parts, "hour"))).as_py() else ""
    if zones == [""]:
        return Times(values, name + clock, are_instants=False)
    if "" in zones:
        reject_rows(
            pc.equal(texts, "").to_numpy(zero_copy_only=False), lines, "the time has no offset, unlike others"
        )
    named = [zone for zone in zones if "/" in zone]
    if named:
        if len(zones) > 1:
            raise MarketDataError(f"the times name several zones: {shorten(', '.join(zones))}")
        return Times(values, f"{name}{clock} with the zone", are_instants=False, zone=named[0])
    offsets = np.array([_offset(zone) for zone in zones], dtype=np.int64)
    codes = pc.index_in(texts, pa.array(zones)).to_numpy(zero_copy_only=False)
    return Times(values - offsets[codes], f"{name}{clock} with an offset", are_instants=True)


def _offset(zone: str) -> int:
    """Return an offset such as `+05:30`, `GMT+0900` or `UTC` in nanoseconds."""
    text = zone.removeprefix("UTC").removeprefix("GMT").strip()
    if text in ("", "Z"):
        return 0
    digits = text[1:].replace(":", "")
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    return (1 if text[0] == "+" else -1) * (hours * 60 + minutes) * 60 * _SECOND


def _texts(parts: pa.StructArray, name: str) -> pa.Array:
    return pc.fill_null(parts.field(name), "")


def _numbers(parts: pa.StructArray, name: str) -> Integers:
    texts = _texts(parts, name)
    return np.asarray(pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), pa.int64()))


def _dates(parts: pa.StructArray, form: Form, column: pa.ChunkedArray, lines: Lines) -> tuple[Integers, str]:
    """Return days since 1970, int64[n], and the name of the form."""
    years = _numbers(parts, "year")
    years = np.where(years < 100, years + np.where(years < _CENTURY, 2000, 1900), years)
    if form.is_month_named:
        names = pc.unique(parts.field("name"))
        numbers = np.array([month_number(name) for name in names.to_pylist()], dtype=np.int64)
        months = numbers[pc.index_in(parts.field("name"), names).to_numpy(zero_copy_only=False)]
        return _days(years, months, _numbers(parts, "day"), column, lines), form.name
    if form.name.startswith("?"):
        return _parse_slashes(years, _numbers(parts, "first"), _numbers(parts, "next"), column, lines)
    return _days(years, _numbers(parts, "month"), _numbers(parts, "day"), column, lines), form.name


def _parse_slashes(
    years: Integers, first: Integers, second: Integers, column: pa.ChunkedArray, lines: Lines
) -> tuple[Integers, str]:
    """Parse dates such as 01/02/2010: only the whole column can show whether the day or the month is first."""
    month_first, day_first = bool((first <= 12).all()), bool((second <= 12).all())
    if month_first and day_first and not np.array_equal(first, second):
        raise MarketDataError(
            f"the date {quote(str(column[0]))} is ambiguous (day or month first); write dates as YYYY-MM-DD"
        )
    if month_first:
        return _days(years, first, second, column, lines), "MM/DD/YYYY"
    return _days(years, second, first, column, lines), "DD/MM/YYYY"


def _days(
    years: Integers, months: Integers, days: Integers, column: pa.ChunkedArray, lines: Lines
) -> Integers:
    """Return days since 1970; a date that does not exist is rejected."""
    valid = (years >= 1678) & (years < 2262) & (months >= 1) & (months <= 12) & (days >= 1)
    month = (np.where(valid, years, 1970) - 1970) * 12 + np.where(valid, months, 1) - 1
    starts = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    ends = (month + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid &= days <= ends - starts
    if not valid.all():
        reject_rows(~valid, lines, "unreadable time", column.to_pylist())
    return np.asarray(starts + days - 1, dtype=np.int64)


def _clock(parts: pa.StructArray, column: pa.ChunkedArray, lines: Lines) -> Nanoseconds:
    names = {parts.type.field(i).name for i in range(parts.type.num_fields)}
    hours, minutes, seconds = (_numbers(parts, name) for name in ("hour", "minute", "second"))
    if "half" in names:
        halves = pc.utf8_slice_codeunits(pc.utf8_lower(_texts(parts, "half")), 0, 1)
        afternoon = pc.equal(halves, "p").to_numpy(zero_copy_only=False)
        morning = pc.equal(halves, "a").to_numpy(zero_copy_only=False)
        hours = np.where(afternoon, hours % 12 + 12, np.where(morning, hours % 12, hours))
    ends_day = (hours == 24) & (minutes == 0) & (seconds == 0)
    invalid = ((hours > 23) & ~ends_day) | (minutes > 59) | (seconds > 59)
    if invalid.any():
        reject_rows(invalid, lines, "unreadable time", column.to_pylist())
    fraction = pc.utf8_rpad(_texts(parts, "fraction"), 9, "0")
    nanoseconds = pc.cast(fraction, pa.int64()).to_numpy(zero_copy_only=False)
    return np.asarray(((hours * 60 + minutes) * 60 + seconds) * _SECOND + nanoseconds, dtype=np.int64)


def as_index(values: Nanoseconds) -> pd.DatetimeIndex:
    """Return UTC instants as the index of bars."""
    return pd.DatetimeIndex(values.view("datetime64[ns]"), name="time").tz_localize("UTC")
