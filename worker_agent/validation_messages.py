"""Sentences for people about values that a model or a schema rejects, without the validator's own terms.

Used for requests, messages of the protocol, stored files and parameters; `workers.strategy.validation` has the words of
strategy files.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_CHARACTERS = 80
"""Of a value in a message."""
_MAX_CHOICES = 20

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "string": "text",
    "bytes": "text",
    "date": "a date such as 2010-01-31",
    "datetime": "a time such as 2010-01-31T12:00:00Z",
    "time": "a time of day such as 12:00:00",
    "timezone": "a time with an offset, such as 2010-01-31T12:00:00Z",
    "list": "a list",
    "tuple": "a list",
    "set": "a list without repeated entries",
    "frozen": "a list without repeated entries",
    "dict": "an object",
    "model": "an object",
    "dataclass": "an object",
    "uuid": "a UUID",
    "url": "a URL such as https://example.org/path",
    "none": "null",
    "finite": "a finite number",
}
"""Beginning of pydantic's error type, with the values that are accepted."""


def problems_of(error: ValidationError, limit: int = 50) -> list[dict[str, str]]:
    """Return a JSON pointer and a sentence for each of the first errors."""
    return [
        {"pointer": _pointer(details["loc"]), "detail": describe(details)}
        for details in error.errors(include_url=False)[:limit]
    ]


def first_problem(error: ValidationError, whole: str = "the content") -> str:
    """Return the first error as "place: sentence"; `whole` names the place of an error that concerns all of it."""
    details = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, details['loc'])) or whole}: {describe(details)}"


def describe(details: ErrorDetails) -> str:
    """Return one of pydantic's errors as a sentence without a subject, such as "must be at least 1, not 0"."""
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "value_error" | "assertion_error":
            return str(context["error"])
        case "json_invalid":
            return "is not valid JSON"
        case "literal_error" | "enum":
            return must_be_one_of(str(context["expected"]), value)
        case "union_tag_invalid":
            return must_be_one_of(str(context["expected_tags"]), context["tag"])
        case "union_tag_not_found":
            return f"needs the field {str(context['discriminator']).strip(chr(39))}"
        case "string_pattern_mismatch":
            return must_have_form(str(context["pattern"]), value)
        case "string_too_short" | "too_short" | "bytes_too_short":
            return must_have_at_least(context["min_length"], value)
        case "string_too_long" | "too_long" | "bytes_too_long":
            return must_have_at_most(context["max_length"], value)
        case "greater_than_equal":
            return must_be(f"at least {number(context['ge'])}", value)
        case "greater_than":
            return must_be(f"greater than {number(context['gt'])}", value)
        case "less_than_equal":
            return must_be(f"at most {number(context['le'])}", value)
        case "less_than":
            return must_be(f"less than {number(context['lt'])}", value)
        case "multiple_of":
            return must_be(f"a multiple of {number(context['multiple_of'])}", value)
    accepted = _TYPES.get(kind.split("_")[0])
    return must_be(accepted, value) if accepted else f"{quote(value)} is not valid here"


def number(limit: float) -> str:
    """Return a limit as people write it: 100, not 100.0."""
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)


def must_be(accepted: str, value: object) -> str:
    return f"must be {accepted}, not {quote(value)}"


def must_be_one_of(choices: str, value: object) -> str:
    """`choices`: the accepted values as one text, cut if it is long."""
    return must_be(
        choices if len(choices) <= 4 * MAX_CHARACTERS else f"{choices[: 4 * MAX_CHARACTERS - 1]}…", value
    )


def must_have_at_least(count: int, value: object) -> str:
    if count == 1:
        return "must not be empty"
    return f"must have at least {count} {_units(value)}, not {_length(value)}"


def must_have_at_most(count: int, value: object) -> str:
    return f"must have at most {count} {_units(value)}, not {_length(value)}"


def must_have_form(pattern: str, value: object) -> str:
    """Describe the texts that a regular expression accepts, if it is a run of characters, as names are."""
    run = re.fullmatch(r"\^(?:\[([^\]^][^\]]*)\])?\[([^\]^][^\]]*)\](\*|\+|\{(\d+)(,)?(\d+)?\})\$", pattern)
    if run is None:
        return f"{quote(value)} does not have the form that is needed here"
    first, characters, _, lowest, comma, highest = run.groups()
    text = f"{quote(value)} is not valid: use only {_characters(characters)}"
    length = highest or (lowest if not comma else None)
    if length is not None:
        longest = int(length) + (1 if first else 0)
        text += f", {'exactly' if not comma else 'at most'} {longest} of them"
    return text + (f", starting with {_characters(first, 'or')}" if first and first != characters else "")


def quote(value: object) -> str:
    """Return a value as JSON, at most 80 characters of it; lists and objects only by their size."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a list of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    text = text.encode(errors="backslashreplace").decode()  # a lone surrogate cannot be sent
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _characters(content: str, joined: str = "and") -> str:
    """Describe the content of a character class, such as `A-Za-z0-9_.`."""
    names = []
    for letters, name in (
        ("A-Za-z", "letters"),
        ("A-Z", "capital letters"),
        ("a-z", "small letters"),
        ("0-9", "digits"),
        ("a-f", "letters from a to f"),
    ):
        if letters in content:
            names.append(name)
            content = content.replace(letters, "")
    marks = list(content.replace("\\", ""))
    named = [*names, *(f"the character{'s' if len(marks) > 1 else ''} {' '.join(marks)}" for _ in marks[:1])]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} {joined} {named[-1]}"


def _units(value: object) -> str:
    return "characters" if isinstance(value, str | bytes) else "entries"


def _length(value: Any) -> str:
    return str(len(value)) if hasattr(value, "__len__") else "more"


def _pointer(location: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
