"""Messages for the author of a strategy file, made from pydantic's errors."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workers.strategy.catalog import nearest_name
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.quoting import quote
from workers.strategy.sections.rules import CONDITIONS

Path = tuple[str | int, ...]

_UNKNOWN_ELSEWHERE = {
    "/training/validation_split": "write data_split: {train: 0.8, validation: 0.1, test: 0.1} instead",
    "/constants": "constants belong to conditions, which a strategy with model: {type: rules} has",
    "/nn_inputs": "a rules strategy has no network; its conditions name their inputs, so remove nn_inputs",
    "/training": "a rules strategy is not trained; remove training",
    "/model/architecture": "a rules strategy has no network; remove architecture",
    "/decisions/output_format": "a rules strategy has no predictions; its decisions are conditions such as long: rsi_14 < 30",
    "/decisions/position_awareness": "a rules strategy keeps its position until a condition changes it",
    "/decisions/cost_model": "cost_model belongs to output_format regression; classification has confidence_threshold",
    "/decisions/confidence_threshold": "confidence_threshold belongs to output_format classification; "
    "regression has cost_model",
}

_UNKNOWN_ELSEWHERE |= {
    f"/decisions/{name}": f"{name} is a condition, which a strategy with model: {{type: rules}} has"
    for name in CONDITIONS
}

_WRONG_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "date_type": "a date such as 2010-01-31",
    "tuple_type": "a list such as [1, 2]",
    "dict_type": "a section",
    "model_type": "a section",
    "model_attributes_type": "a section",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def validation_problems(
    error: ValidationError, data: dict[str, Any], model: type[BaseModel]
) -> list[UnplacedProblem]:
    """Return a problem for each error that pydantic reports about `data`."""
    schema = model.model_json_schema()
    located = [
        (_path_in(details, data), details)
        for details in error.errors(include_url=False)
        if not _only_counts_valid_entries(details)
    ]
    problems = [
        (pointer(*path), _message(details, path, data, schema, or_list=or_list))
        for path, details, or_list in _without_other_alternatives(located)
    ]
    return list(dict.fromkeys(problems))


def _only_counts_valid_entries(details: ErrorDetails) -> bool:
    """Whether a list or section is called too short only because entries with errors of their own do not count."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _path_in(details: ErrorDetails, data: Any) -> Path:
    """Return the error's location without the parts that the file lacks (union members, gathered keys)."""
    path: list[str | int] = []
    for part in details["loc"]:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, tuple) and isinstance(part, int) and part < len(data)):
            path.append(part)
            data = data[part]
    if details["type"] == "union_tag_invalid":
        path.append(details["ctx"]["discriminator"].strip("'"))
    return tuple(path)


def _without_other_alternatives(
    located: list[tuple[Path, ErrorDetails]],
) -> Iterator[tuple[Path, ErrorDetails, bool]]:
    """Keep only the errors that apply to the value that was written, where a word or a list is allowed.

    The third value is true for an error about the word: a list is allowed as well.
    """
    words = {path: details for path, details in located if details["type"] == "literal_error"}
    choices = {
        path: isinstance(details["input"], tuple)
        for path, details in words.items()
        if any(other[: len(path)] == path for other, errors in located if errors is not details)
    }
    for path, details in located:
        is_word = words.get(path) is details
        around = next((choice for choice in choices if path[: len(choice)] == choice), None)
        if around is None:
            yield path, details, False
        elif is_word != choices[around]:
            yield path, details, is_word


def _message(
    details: ErrorDetails, path: Path, data: dict[str, Any], schema: dict[str, Any], *, or_list: bool
) -> str:
    context = details.get("ctx", {})
    name = details["loc"][-1] if details["loc"] else ""
    value = quote(details["input"])
    match details["type"]:
        case "missing" if isinstance(name, int):
            return "the list has too few entries"
        case "missing":
            return f"{name} is missing here"
        case "extra_forbidden":
            return _unknown_key(path, data, schema)
        case "union_tag_not_found":
            return f"{str(context['discriminator']).strip(chr(39))} is missing here"
        case "union_tag_invalid":
            valid = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            if path == ("model", "type"):
                valid.append("rules")
            return _unknown_choice(details["input"][path[-1]], valid)
        case "literal_error":
            choices = _choices(context["expected"]) + (" or a list" if or_list else "")
            return f"must be {choices}, not {value}"
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch" if name == "[key]":
            return (
                f"{value} is not a valid name: use up to 64 letters, digits and underscores, "
                "starting with a letter or an underscore"
            )
        case "string_pattern_mismatch":
            return (
                f"{value} is not a valid symbol: use up to 32 letters, digits and the characters ^ = _ . -, "
                "starting with a letter, a digit or ^"
            )
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters, not {len(details['input'])}"
        case "too_short":
            return f"must have at least {context['min_length']} {_entries(context['min_length'])}"
        case "too_long":
            return f"must have at most {context['max_length']} entries, not {context['actual_length']}"
        case kind if kind in _BOUNDS:
            words, bound = _BOUNDS[kind]
            return f"must be {words} {context[bound]:g}, not {value}"
        case kind if kind in _WRONG_TYPES:
            return f"must be {_WRONG_TYPES[kind]}, not {value}"
    return f"{value} is not valid here"


def _choices(expected: str) -> str:
    """Return pydantic's list of allowed values as a strategy file writes them."""
    return {"True": "true", "False": "false"}.get(expected, expected)


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"


def _unknown_choice(tag: object, valid: list[str]) -> str:
    near = nearest_name(tag, valid) if isinstance(tag, str) else None
    hint = f"did you mean {near}?" if near else f"choose from {', '.join(valid)}"
    return f"{quote(tag)} is not valid here; {hint}"


def _unknown_key(path: Path, data: dict[str, Any], schema: dict[str, Any]) -> str:
    if (message := _UNKNOWN_ELSEWHERE.get(pointer(*path))) is not None:
        return message
    key, valid = str(path[-1]), _keys_at(path[:-1], data, schema)
    near = nearest_name(key, valid)
    hint = f"did you mean {near}?" if near else f"valid keys are {', '.join(valid)}"
    return f"unknown key {quote(key)}; {hint}"


def _keys_at(path: Path, data: Any, schema: dict[str, Any]) -> list[str]:
    """Return the keys that the schema allows in the section at `path` of `data`."""
    node = schema
    for part in path:
        node = _member(node, data, schema)
        data = data[part]
        node = node["items"] if isinstance(part, int) else _value_of(part, node)
    return list(_member(node, data, schema).get("properties", {}))


def _value_of(key: str, node: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the value of `key`, which is a fixed key or a name that the author chooses (beside
    `indicator` too)."""
    properties: dict[str, Any] = node.get("properties", {})
    definition = properties.get(key) or properties.get("memberships", node)
    if key in properties:
        return dict(definition)
    values = definition.get("patternProperties") or {"": definition["additionalProperties"]}
    return dict(next(iter(values.values())))


def _member(node: dict[str, Any], data: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow the references of `node` and choose the union member that `data` names."""
    while True:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        elif "discriminator" in node:
            tag = data.get(node["discriminator"]["propertyName"])
            node = {"$ref": node["discriminator"]["mapping"][tag]}
        elif "anyOf" in node:
            node = next(option for option in node["anyOf"] if option.get("type") != "null")
        else:
            return node
