"""Checks schemas by the metaschema of JSON Schema 2020-12, merged into one schema.

The metaschema consists of seven vocabularies, each of which refers to all seven dynamically, so that others can extend
them. Without that, a schema is checked in a sixth of the time: each web process checks those of all workers at a start.
"""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema_specifications import REGISTRY
from referencing import Registry

OF_NAMES = ("properties", "$defs")
"""Contain schemas by name; `$ref` may be such a name."""


def check(schema: Mapping[str, Any]) -> None:
    """Like `Draft202012Validator.check_schema`. Raises SchemaError."""
    error = best_match(_VALIDATOR.iter_errors(schema))
    if error is not None:
        raise SchemaError.create_from(error)


def merge() -> dict[str, Any]:
    """Return the vocabularies of the metaschema as one schema, whose references are to itself."""
    metaschema: Mapping[str, Any] = Draft202012Validator.META_SCHEMA
    directory, _, _ = metaschema["$id"].rpartition("/")
    vocabularies = [REGISTRY.contents(f"{directory}/{part['$ref']}") for part in metaschema["allOf"]]
    merged: dict[str, Any] = {"type": metaschema["type"]}
    for part in (*vocabularies, metaschema):
        for keyword in OF_NAMES:
            named = {name: _local(value) for name, value in part.get(keyword, {}).items()}
            merged[keyword] = merged.get(keyword, {}) | named
    return merged


def _local(part: Any) -> Any:
    """Return the subschema with references into the merged schema."""
    if isinstance(part, list):
        return [_local(item) for item in part]
    if not isinstance(part, dict):
        return part
    local = {keyword: _local(value) for keyword, value in part.items()}
    if "$dynamicRef" in local:
        local["$ref"] = "#"
        del local["$dynamicRef"]
    elif "$ref" in local:
        local["$ref"] = f"#{local['$ref'].partition('#')[2]}"
    return local


_VALIDATOR = Draft202012Validator(
    merge(), registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
)
