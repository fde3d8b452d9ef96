"""Limits the JSON schema of an operation type's parameters. It comes from a worker and runs in the backend.

A schema is bounded in size, depth and number of subschemas; refers only to its own `$defs`; has no keyword whose
evaluation grows faster than schema and parameters; and its patterns are those of RE2, which matches in linear time.
The bound of the evaluation itself is in `operations.schemas`, because references may be recursive.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2
from jsonschema.exceptions import SchemaError

from registry import metaschema
from worker_agent.schema_keywords import ORDER_MARK

MAX_BYTES = 64 * 1024
MAX_TOTAL_BYTES = 256 * 1024
"""Of all schemas of a registration."""
MAX_DEPTH = 32
MAX_SUBSCHEMAS = 1000
MAX_PATTERN = 500
MAX_SHOWN = 80
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFUSED = frozenset(
    (
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "$recursiveAnchor",
        "$vocabulary",
        "patternProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
    )
)
"""Identifiers, with which a reference may point anywhere, and what is evaluated again for each part of the schema."""
OF_SCHEMAS = ("properties", "$defs", "definitions", "dependentSchemas")
LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMAS = (
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
)
DEFINITIONS = ("#/$defs/", "#/definitions/")


class UnsafeSchema(Exception):
    """The schema is invalid or beyond the bounds; the message is one sentence."""


def keep_order(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with the order of the values of each object, which the database keeps only of lists.

    The schema must have been checked.
    """
    ordered = dict(schema)
    for keyword, value in schema.items():
        if keyword in OF_SCHEMAS and isinstance(value, dict):
            ordered[keyword] = {name: _in_order(part) for name, part in value.items()}
        elif keyword in LISTS_OF_SCHEMAS and isinstance(value, list):
            ordered[keyword] = [_in_order(part) for part in value]
        elif keyword in SCHEMAS:
            ordered[keyword] = _in_order(value)
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties:
        ordered[ORDER_MARK] = list(properties)
    return ordered


def _in_order(part: Any) -> Any:
    """Return a subschema with its order; `true` and `false` are schemas too."""
    return keep_order(part) if isinstance(part, dict) else part


def check_all(schemas: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the schemas of a registration: operation type -> schema. Raises UnsafeSchema."""
    total = 0
    for operation_type, schema in schemas.items():
        total += len(json.dumps(schema))
        try:
            check(schema)
        except UnsafeSchema as problem:
            raise UnsafeSchema(f"{operation_type}: {problem}") from problem
    if total > MAX_TOTAL_BYTES:
        raise UnsafeSchema(f"The schemas together have {total} bytes; the limit is {MAX_TOTAL_BYTES}.")


def check(schema: Mapping[str, Any]) -> None:
    """Check the schema of a worker's parameters. Raises UnsafeSchema."""
    problem = _find_problem(json.dumps(schema, sort_keys=True))
    if problem:
        raise UnsafeSchema(problem)


@lru_cache(maxsize=256)
def _find_problem(text: str) -> str:
    """Return the problem, or nothing. Hundreds of workers announce the same schemas."""
    if len(text) > MAX_BYTES:
        return f"The schema has {len(text)} bytes; the limit is {MAX_BYTES}."
    schema = json.loads(text)
    try:
        for number, (pointer, part) in enumerate(_subschemas(schema)):
            if number >= MAX_SUBSCHEMAS:
                return f"The schema has more than {MAX_SUBSCHEMAS} subschemas."
            _check_keywords(schema, pointer, part)
        metaschema.check(schema)
    except UnsafeSchema as problem:
        return str(problem)
    except SchemaError as error:
        return f"The schema is not valid at {_shorten(error.json_path)}."
    return ""


def _subschemas(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (JSON pointer, subschema), the whole schema first. Values such as `default` and `enum` are not schemas."""
    pending: list[tuple[str, Any, int]] = [("", schema, 0)]
    while pending:
        pointer, part, depth = pending.pop()
        if not isinstance(part, dict):
            continue
        if depth > MAX_DEPTH:
            raise UnsafeSchema(f"The schema is nested more than {MAX_DEPTH} levels deep.")
        yield pointer, part
        inner: list[tuple[str, Any]] = [(key, part[key]) for key in SCHEMAS if key in part]
        for key in OF_SCHEMAS:
            if isinstance(part.get(key), dict):
                inner += [(f"{key}/{name}", value) for name, value in part[key].items()]
        for key in LISTS_OF_SCHEMAS:
            if isinstance(part.get(key), list):
                inner += [(f"{key}/{index}", value) for index, value in enumerate(part[key])]
        pending += [(f"{pointer}/{path}", value, depth + 1) for path, value in inner]


def _check_keywords(root: Mapping[str, Any], pointer: str, part: Mapping[str, Any]) -> None:
    place = _shorten(pointer) or "/"
    if refused := sorted(REFUSED & part.keys()):
        raise UnsafeSchema(f"{place} has the keyword {refused[0]}, which a parameter schema may not use.")
    if "$schema" in part and (pointer or part["$schema"] != DIALECT):
        raise UnsafeSchema(f"{place} has another $schema than {DIALECT}.")
    if "$ref" in part:
        _check_reference(root, place, part["$ref"])
    if "pattern" in part:
        _check_pattern(place, part["pattern"])


def _check_reference(root: Mapping[str, Any], place: str, reference: Any) -> None:
    if reference == "#":
        return
    for start in DEFINITIONS:
        if isinstance(reference, str) and reference.startswith(start):
            name = reference.removeprefix(start).replace("~1", "/").replace("~0", "~")
            group = root.get(start.strip("#/"))
            if isinstance(group, dict) and name in group:
                return
    raise UnsafeSchema(f"{place} refers to something else than a definition in this schema's own $defs.")


def _check_pattern(place: str, pattern: Any) -> None:
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise UnsafeSchema(f"{place} has a pattern that is not a text of at most {MAX_PATTERN} characters.")
    try:
        compile_pattern(pattern)
    except re2.error:
        raise UnsafeSchema(
            f"{place} has a pattern that RE2 cannot match in linear time: use no look-around and no back-reference."
        ) from None


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern, with a limit of 1 MiB for its automaton. Raises re2.error."""
    options = re2.Options()
    options.max_mem = 1024**2
    options.log_errors = False
    return re2.compile(pattern, options=options)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
