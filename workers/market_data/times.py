"""Parse the times of a file into UTC."""

import re
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.sessions import NANOSECONDS_A_DAY, unix_nanoseconds
from workers.market_data.timeframes import is_intraday
from workers.strategy.quoting import quote, shorten

_DATES = ("%Y-%m-%d", "%Y.%m.%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d-%b-%Y", "%b %d, %Y")
_SLASHED = ("%m/%d/%Y", "%d/%m/%Y")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H%M%S", " %H%M", " %H:%M:%S.%f")
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_EPOCH = re.compile(r"\d{9,10}|\d{12,13}")


def read_times(texts: pd.Series, lines: Lines, timezone: str, timeframe: str) -> pd.DatetimeIndex:
    """Return the UTC times of the rows. A daily or longer bar gets midnight UTC of its date, whatever the time zone.

    Raises `MarketDataError` with the rows that cannot be read, or for local times that do not exist or are ambiguous
    because clocks change.
    """
    zone = _zone(timezone)
    texts = texts.str.strip()
    first = str(texts.iloc[0])
    if _EPOCH.fullmatch(first):
        return _parse_epoch(texts, lines)
    offsets = bool(_OFFSET.search(first)) and ":" in first
    local = texts.str.replace(_OFFSET, "", regex=True) if offsets else texts
    naive = _parse_local(local.str.replace("T", " ", n=1, regex=False), texts, lines)
    days_only = bool((unix_nanoseconds(naive) % NANOSECONDS_A_DAY == 0).all())
    if not is_intraday(timeframe) and days_only:
        return naive.tz_localize("UTC")
    if offsets:
        return _parse_with_offsets(texts, lines)
    return _localize(naive, zone, timezone)


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise MarketDataError(
            f"{quote(timezone)} is not a time zone; write a name such as Europe/Berlin or UTC"
        ) from error


def _parse_epoch(texts: pd.Series, lines: Lines) -> pd.DatetimeIndex:
    unit: Literal["s", "ms"] = "s" if len(str(texts.iloc[0])) <= 10 else "ms"
    numbers = pd.to_numeric(texts, errors="coerce")
    reject_rows(numbers.isna().to_numpy(), lines, "unreadable time", texts)
    instants = pd.to_datetime(numbers.to_numpy(np.int64), unit=unit, utc=True)
    return pd.DatetimeIndex(instants, name="time")


def _parse_with_offsets(texts: pd.Series, lines: Lines) -> pd.DatetimeIndex:
    instants = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    reject_rows(instants.isna().to_numpy(), lines, "unreadable time", texts)
    return pd.DatetimeIndex(instants, name="time")


def _parse_local(local: pd.Series, texts: pd.Series, lines: Lines) -> pd.DatetimeIndex:
    """Parse local times in the first format that fits the first row; it must fit all rows."""
    first = str(local.iloc[0])
    for date in _DATES:
        for clock in _CLOCKS:
            if _matches_format(first, date + clock):
                times = pd.to_datetime(local, format=date + clock, errors="coerce")
                reject_rows(times.isna().to_numpy(), lines, "unreadable time", texts)
                return pd.DatetimeIndex(times, name="time")
    return _parse_slashed(local, texts, lines)


def _matches_format(text: str, pattern: str) -> bool:
    return not pd.isna(pd.to_datetime(text, format=pattern, errors="coerce"))


def _parse_slashed(local: pd.Series, texts: pd.Series, lines: Lines) -> pd.DatetimeIndex:
    """Parse dates such as 01/02/2010: only the whole column can show whether the day or the month is first."""
    readings = []
    for date in _SLASHED:
        for clock in _CLOCKS:
            times = pd.to_datetime(local, format=date + clock, errors="coerce")
            if not times.isna().any():
                readings.append(pd.DatetimeIndex(times, name="time"))
    if len(readings) == 2 and not readings[0].equals(readings[1]):
        raise MarketDataError(
            f"the date {shorten(texts.iloc[0])} is ambiguous (day or month first); write dates as YYYY-MM-DD"
        )
    if not readings:
        reject_rows(np.ones(1, dtype=bool), lines, "unreadable time", texts)
    return readings[0]


def _localize(naive: pd.DatetimeIndex, zone: ZoneInfo, timezone: str) -> pd.DatetimeIndex:
    """Convert local times to UTC. The repeated hour in autumn is resolved by the order of the rows."""
    try:
        return naive.tz_localize(zone, ambiguous="infer", nonexistent="raise").tz_convert("UTC")
    except ValueError as error:
        raise MarketDataError(
            f"the times are not valid local times of {timezone} ({shorten(str(error))}); choose the correct time zone, "
            "or export the file in UTC"
        ) from error
