"""Formats numbers, durations and times for pages."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

DASH = "–"
_STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
ACRONYMS = {"gpu": "GPU", "cpu": "CPU", "gb": "GB", "sha256": "SHA-256", "id": "id", "var": "VaR", "f1": "F1"}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def percent(value: Any, digits: int = 1) -> str:
    """Format a fraction as a percentage: 0.1234 -> `12.3 %`; undefined is a dash."""
    number = _number(value)
    return DASH if number is None else f"{number * 100:.{digits}f} %".replace("-", "−")


def signed_percent(value: Any, digits: int = 1) -> str:
    """Format like `percent`, always with a sign."""
    number = _number(value)
    return DASH if number is None else f"{number * 100:+.{digits}f} %".replace("-", "−")


def decimal(value: Any, digits: int = 2) -> str:
    """Format with thin spaces between thousands: 12345.678 -> `12 345.68`; undefined is a dash."""
    number = _number(value)
    if number is None:
        return DASH
    return f"{number:,.{digits}f}".replace(",", "\u202f").replace("-", "−")


def integer(value: Any) -> str:
    return decimal(value, 0)


def short(value: Any) -> str:
    """Format with at most five significant digits, for tables of mixed magnitudes."""
    number = _number(value)
    if number is None:
        return DASH if value is None else str(value)
    if not math.isfinite(number):
        return str(number)
    if number == int(number) and abs(number) < 1e9:
        return decimal(number, 0)
    return _significant(number, 4)


def quantity(value: Any) -> str:
    """Format a quantity with at most six significant digits, never with an exponent: 0.00001234, 120.5, 1 250 000."""
    number = _number(value)
    return DASH if number is None or not math.isfinite(number) else _significant(number, 6)


def _significant(number: float, digits: int) -> str:
    """Format with at most this many significant digits; those before the point are all kept."""
    if number == 0.0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = decimal(number, min(decimals, 20))
    return text.rstrip("0").rstrip(".") if "." in text else text


def basis_points(value: Any) -> str:
    """Format a fraction of the price in basis points: 0.0005 -> `5 bp`."""
    number = _number(value)
    return DASH if number is None else f"{_significant(round(number * 1e4, 6), 3)} bp"


def words(name: str) -> str:
    """Turn a field name into words: `quality.longest_gap_bars` -> `Quality, longest gap bars`."""
    text = " ".join(ACRONYMS.get(word, word) for word in name.replace(".", " , ").replace("_", " ").split())
    return text[:1].upper() + text[1:].replace(" ,", ",")


def plain(value: Any) -> str:
    """Format any value of a parameter or result without programming syntax."""
    match value:
        case None | "" | []:
            return DASH
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return short(value)
        case list() | tuple():
            return ", ".join(plain(item) for item in value)
        case dict() if not value:  # the pattern {} would fit every mapping
            return DASH
        case dict():
            return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
        case _:
            return str(value).removesuffix("T00:00:00+00:00")


def sign(value: Any) -> str:
    """Return the CSS class of a gain or a loss."""
    number = _number(value)
    return "" if not number else "up" if number > 0 else "down"


def duration(value: Any) -> str:
    """Format seconds or a timedelta as `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if seconds is None:
        return DASH
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def file_size(value: Any) -> str:
    number = _number(value)
    if number is None:
        return DASH
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def moment(value: datetime | None) -> SafeString | str:
    """Format a time in UTC; a script converts it if the user chose the local time zone."""
    if value is None:
        return DASH
    utc = timezone.localtime(value, timezone.get_default_timezone())
    iso = utc.isoformat()
    return mark_safe(f'<time datetime="{iso}" data-moment>{iso[:10]} {iso[11:19]}</time>')  # noqa: S308  (a time has nothing to escape)


def day(value: date | None) -> str:
    """Format a day, or the day of a time, in UTC."""
    if value is None:
        return DASH
    return f"{_utc(value):%Y-%m-%d}"


def minute(value: datetime | None) -> str:
    """Format a time of market data, which stays in UTC."""
    if value is None:
        return DASH
    return f"{_utc(value):%Y-%m-%d %H:%M}"


def stored_time(value: Any) -> Any:
    """Format a time stored as text: 2026-05-04T17:30 -> `2026-05-04 17:30`, midnight as the day only."""
    if not isinstance(value, str) or not _STORED_TIME.match(value):
        return value
    return f"{value[:10]} {value[11:16]}".removesuffix(" 00:00")


def _utc(value: date) -> date:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def ago(value: datetime | None) -> SafeString | str:
    """Format how long ago, with the exact time on hover."""
    if value is None:
        return "never"
    seconds = max((timezone.now() - value).total_seconds(), 0)
    iso = value.isoformat()
    text = _coarse(seconds) if seconds < 86400 * 30 else iso[:10]
    return mark_safe(f'<time datetime="{iso}" title="{iso[:10]} {iso[11:19]} UTC">{text}</time>')  # noqa: S308  (likewise)


def _coarse(seconds: float) -> str:
    """Use one unit, so that a page does not change every second."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"


def entry(mapping: Any, key: Any) -> Any:
    """Return `mapping[key]`, or None."""
    return mapping.get(key) if isinstance(mapping, dict) else None


def dig(data: Any, *path: str) -> Any:
    """The value below nested mappings; None where a part of the path is missing."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data
