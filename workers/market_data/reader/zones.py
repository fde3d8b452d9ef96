"""Convert local times to UTC."""

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.errors import MarketDataError
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.quoting import quote, shorten

Nanoseconds = npt.NDArray[np.int64]

_SHIFTED = re.compile(r"(?P<zone>[A-Za-z]+(?:/[A-Za-z_]+)+)(?P<hours>[+-]\d{1,2})")
_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
_NICKNAMES = {
    "ET": "America/New_York",
    "CT": "America/Chicago",
    "GMT": "UTC",
    "Z": "UTC",
    "MSK": "Europe/Moscow",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """An IANA zone, perhaps shifted: servers of brokers run on `America/New_York+7`, so that midnight is 17:00 in New
    York all year."""

    name: str
    base: str
    shift: int
    """Nanoseconds that clocks are ahead of the base."""


@lru_cache(maxsize=256)
def find_zone(name: str) -> Zone:
    """Raises `MarketDataError` for an unknown name."""
    known = _NICKNAMES.get(name.upper(), name)
    if _exists(known):
        return Zone(known, known, 0)
    match = _SHIFTED.fullmatch(known)
    if match and _exists(match["zone"]):
        return Zone(known, match["zone"], int(match["hours"]) * _HOUR)
    raise MarketDataError(f"{quote(name)} is not a time zone; write a name such as Europe/Berlin or UTC")


def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def to_utc(local: Nanoseconds, name: str, lines: Lines) -> Nanoseconds:
    """Return the instants of local times. The repeated hour in autumn is resolved by the order of the rows.

    Raises `MarketDataError` with the rows whose local times do not exist, or are ambiguous, because clocks change.
    """
    zone = find_zone(name)
    if zone.base == "UTC":
        return local - zone.shift
    index = pd.DatetimeIndex((local - zone.shift).view("datetime64[ns]"))
    try:
        zoned = index.tz_localize(ZoneInfo(zone.base), ambiguous="infer", nonexistent="raise")
    except ValueError as error:
        _reject_local(index, name, ZoneInfo(zone.base), lines)
        raise MarketDataError(
            f"the times are not valid local times of {name}: {shorten(str(error))}"
        ) from error
    return unix_nanoseconds(zoned)


def _reject_local(index: pd.DatetimeIndex, name: str, zone: ZoneInfo, lines: Lines) -> None:
    texts = index.strftime("%Y-%m-%d %H:%M")
    existing = index.tz_localize(zone, ambiguous=np.ones(len(index), dtype=bool), nonexistent="NaT")
    reject_rows(
        np.asarray(existing.isna()), lines, f"clocks change, so the time does not exist in {name}", texts
    )
    clear = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    reject_rows(
        np.asarray(clear.isna()),
        lines,
        f"clocks change, so the time is ambiguous in {name}; export UTC",
        texts,
    )


def approximate_utc(local: Nanoseconds, name: str) -> Nanoseconds:
    """Return the instants of local times for a comparison: ambiguous times are the first ones, others are shifted.

    Offsets are looked up once for each day, so that a hundred candidate zones are compared in milliseconds.
    """
    zone = find_zone(name)
    if zone.base == "UTC" or not len(local):
        return local - zone.shift
    shifted = local - zone.shift
    days, position = np.unique(shifted // _DAY, return_inverse=True)
    noons = pd.DatetimeIndex((days * _DAY + _DAY // 2).view("datetime64[ns]"))
    offsets = (days * _DAY + _DAY // 2) - unix_nanoseconds(noons.tz_localize(ZoneInfo(zone.base)))
    return shifted - np.asarray(offsets, dtype=np.int64)[position]
