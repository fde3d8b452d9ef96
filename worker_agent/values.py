"""Text, integers and JSON that PostgreSQL, JSON and a UTF-8 terminal can carry: one definition for both sides.

PostgreSQL stores no NUL character; UTF-8 has no lone surrogate (Python's stand-in for an undecodable byte); JSON has
neither NaN nor infinities; a deeper nesting or a longer integer breaks other parsers. A receiver rejects such a value
with the place (`find_fault`); the sender replaces it beforehand (`escape`).
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

MAX_DEPTH = 64
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
SHOWN_PATH = 200
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def escape(text: str) -> str:
    """Replace each character that cannot be stored by its escape: NUL becomes `\\x00`, a surrogate `\\udc80`."""
    return UNSTORABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that cannot be stored."""

    pointer: str
    """Its JSON pointer; that of the object if a key is at fault."""
    problem: str
    """The rest of a sentence: "contains the character ..."."""

    def __str__(self) -> str:
        return f"{_shorten(self.pointer)} {self.problem}"


def find_fault(value: object) -> Fault | None:
    """Return the first value that cannot be stored; None if there is none."""
    pending: list[tuple[str, object, int]] = [("", value, 0)]
    while pending:
        pointer, current, depth = pending.pop()
        if (fault := _fault_of(current)) is not None:
            return Fault(pointer, fault)
        if not isinstance(current, dict | list | tuple):
            continue
        if depth >= MAX_DEPTH:
            return Fault(pointer, f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(current, dict):
            for key in current:
                if (fault := _fault_of(key)) is not None:
                    return Fault(pointer, f"has a key that {fault}")
            pending += [(f"{pointer}/{_token(key)}", inner, depth + 1) for key, inner in current.items()]
        else:
            pending += [(f"{pointer}/{index}", inner, depth + 1) for index, inner in enumerate(current)]
    return None


def _token(key: object) -> str:
    """The key as a part of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _fault_of(value: object) -> str | None:
    match value:
        case str() if (match := UNSTORABLE.search(value)) is not None:
            return f"contains the character {escape(match[0])}, which cannot be stored"
        case bool():
            return None
        case int() if not MIN_INTEGER <= value <= MAX_INTEGER:
            return "is an integer of more than 64 bits"
        case float() if not math.isfinite(value):
            return f"is {value}, which JSON does not have"
    return None


def _shorten(pointer: str) -> str:
    text = escape(pointer)
    return f"{text[:SHOWN_PATH]}..." if len(text) > SHOWN_PATH else text or "the value"


def require_storable(value: Any) -> Any:
    """Return the value; raises ValueError with the place of the first part that cannot be stored."""
    if (fault := find_fault(value)) is not None:
        raise ValueError(str(fault))
    return value


Text = Annotated[str, AfterValidator(require_storable)]
Integer = Annotated[int, Field(ge=MIN_INTEGER, le=MAX_INTEGER)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Json = Annotated[JsonValue, AfterValidator(require_storable)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(require_storable)]
