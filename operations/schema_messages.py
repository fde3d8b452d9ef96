"""Sentences for people about parameters that a JSON schema rejects, in the same words as those about requests."""

from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError

from access.problems import pointer
from worker_agent.validation_messages import (
    must_be,
    must_be_one_of,
    must_have_at_least,
    must_have_at_most,
    must_have_form,
    number,
    quote,
)

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def problems_of(error: ValidationError, root: str) -> Iterator[dict[str, str]]:
    """Yield a JSON pointer below `root` and a sentence for each problem of an error."""
    path = (root, *error.absolute_path)
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            for name in limit:
                if name not in value:
                    yield {"pointer": pointer((*path, name)), "detail": "is required"}
        case "additionalProperties" | "unevaluatedProperties":
            for name in sorted(set(value) - set(schema.get("properties", {}))):
                yield {"pointer": pointer((*path, name)), "detail": "is not a known field"}
        case "anyOf" | "oneOf" if len(choices := _not_null(error.context or ())) == 1:
            yield from problems_of(choices[0], root)
        case _:
            yield {"pointer": pointer(path), "detail": describe(error)}


def _not_null(alternatives: Any) -> list[ValidationError]:
    """Leave out the alternative null, which an optional value has beside its own."""
    return [error for error in alternatives if error.validator_value != "null"]


def describe(error: ValidationError) -> str:
    """Return an error as a sentence without a subject, such as "must be at least 1, not 0"."""
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            names = [limit] if isinstance(limit, str) else limit
            return must_be(" or ".join(_TYPES.get(name, name) for name in names), value)
        case "enum":
            return must_be_one_of(", ".join(map(quote, limit)), value)
        case "const":
            return must_be(quote(limit), value)
        case "pattern":
            return must_have_form(limit, value)
        case "minLength" | "minItems" | "minProperties":
            return must_have_at_least(limit, value)
        case "maxLength" | "maxItems" | "maxProperties":
            return must_have_at_most(limit, value)
        case "minimum":
            return must_be(f"at least {number(limit)}", value)
        case "exclusiveMinimum":
            return must_be(f"greater than {number(limit)}", value)
        case "maximum":
            return must_be(f"at most {number(limit)}", value)
        case "exclusiveMaximum":
            return must_be(f"less than {number(limit)}", value)
        case "multipleOf":
            return must_be(f"a multiple of {number(limit)}", value)
        case "uniqueItems":
            return "must not contain an entry twice"
    return f"{quote(value)} is not valid here"
