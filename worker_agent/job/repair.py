"""Repair what a job reports, so that a detail never costs its work: nothing is dropped, each change is noted."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from worker_agent.values import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER, escape

MAX_STAND_IN = 1000
"""Characters of a text that stands in for a value JSON does not have."""
MAX_NAME = 200
Note = Callable[[str], None]


def text_of(value: object, limit: int | None = None) -> str:
    """`str(value)` as storable text, at most `limit` characters; a failing `__str__` is named, not raised."""
    try:
        text = str(value)
    except BaseException as error:  # whatever a foreign __str__ raises, the caller's message must survive
        text = f"<{type(value).__name__}: its __str__ raised {type(error).__name__}>"
    text = escape(text)
    return text if limit is None or len(text) <= limit else f"{text[: limit - 4]} ..."


def integer_of(value: Any, place: str, note: Note, least: int = MIN_INTEGER) -> int:
    """An integer within [least, 2^63 - 1]; a value outside is moved to the nearest bound, and noted."""
    number = int(value)
    bounded = min(max(number, least), MAX_INTEGER)
    if bounded != number:
        note(f"{place} was outside its range and is stored as {bounded}")
    return bounded


def storable_name(name: object) -> str:
    """The name of a file as the protocol allows it; a legal name is returned unchanged.

    Accents are dropped (`ü.csv` -> `u.csv`), other characters become `_`, and a long name keeps its ending. The same
    name always gives the same result.
    """
    plain = unicodedata.normalize("NFKD", text_of(name)).encode("ascii", "ignore").decode() or "file"
    parts = [re.sub(r"[^A-Za-z0-9^=_.-]", "_", part).lstrip("=_.-") for part in plain.split("/")]
    legal = "/".join(part for part in parts if part) or "file"
    if len(legal) <= MAX_NAME:
        return legal
    ending = re.search(r"\.[A-Za-z0-9]{1,16}$", legal)
    suffix = ending[0] if ending else ""
    return legal[: MAX_NAME - len(suffix)].rstrip("/") + suffix


def json_object_of(value: Mapping[Any, Any], note: Note) -> dict[str, Any]:
    """The mapping as a JSON object. Values that JSON does not have are converted, and each conversion is noted.

    NumPy scalars and arrays, `Decimal`, dates, sets and enums become numbers, lists and texts; NaN and infinities
    become null; any other object becomes its text.
    """
    return _mapping(value, "", 0, note)


def _convert(value: Any, place: str, depth: int, note: Note) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return _convert(value.value, place, depth, note)
        case str():
            return _text(value, place, note)
        case int():
            return (
                integer if (integer := int(value)) == value and _fits(integer) else _long(value, place, note)
            )
        case float():
            return _float(float(value), place, note)
        case Decimal() | Fraction():
            return _decimal(value, place, note)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return _text(str(value), place, note)
    if depth >= MAX_DEPTH:
        note(f"{place} is nested more than {MAX_DEPTH} levels deep and is stored as text")
        return text_of(value, MAX_STAND_IN)
    match value:
        case Mapping():
            return _mapping(value, place, depth, note)
        case list() | tuple():
            return [_convert(inner, f"{place}/{i}", depth + 1, note) for i, inner in enumerate(value)]
        case set() | frozenset():
            return [
                _convert(inner, f"{place}/{i}", depth + 1, note)
                for i, inner in enumerate(
                    sorted(value, key=lambda inner: (type(inner).__name__, text_of(inner)))
                )
            ]
    return _foreign(value, place, depth, note)


def _mapping(value: Mapping[Any, Any], place: str, depth: int, note: Note) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, inner in value.items():
        name = key if isinstance(key, str) else text_of(key)
        if escape(name) != name:
            note(f"a key of {place or 'the result'} contained characters that cannot be stored; escaped")
            name = escape(name)
        while name in converted:
            note(f"{place}/{name} exists twice; the second is stored as {name}_")
            name = f"{name}_"
        converted[name] = _convert(inner, f"{place}/{name}", depth + 1, note)
    return converted


def _text(value: str, place: str, note: Note) -> str:
    text = escape(value)
    if text != value:
        note(f"{place} contained characters that cannot be stored; escaped")
    return text


def _fits(value: int) -> bool:
    return MIN_INTEGER <= value <= MAX_INTEGER


def _long(value: int, place: str, note: Note) -> str:
    note(f"{place} is an integer of more than 64 bits and is stored as text")
    return text_of(value if value.bit_length() < 3_000 else hex(value), MAX_STAND_IN)


def _float(value: float, place: str, note: Note) -> float | None:
    if math.isfinite(value):
        return value
    note(f"{place} is {value} and is stored as null")
    return None


def _decimal(value: Decimal | Fraction, place: str, note: Note) -> float | None:
    try:
        return _float(float(value), place, note)
    except (ValueError, OverflowError):  # a signalling NaN; a fraction beyond a float's range
        note(f"{place} is outside the range of a float and is stored as null")
        return None


def _foreign(value: Any, place: str, depth: int, note: Note) -> Any:
    """A value of another library: NumPy's and torch's have `tolist`, which gives numbers and lists."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        try:
            plain = to_list()
        except Exception as error:  # the value is then shown as text, with the reason
            note(f"{place}: tolist() raised {type(error).__name__}")
        else:
            if type(plain) is not type(value):
                return _convert(plain, place, depth + 1, note)
    note(f"{place} is a {type(value).__name__}, which JSON does not have; stored as text")
    return text_of(value, MAX_STAND_IN)
