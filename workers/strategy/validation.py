"""Pydantic's errors as sentences for the author of a strategy file."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workers.strategy.catalog import nearest_name
from workers.strategy.errors import UnplacedProblem, pointer

_UNKNOWN_ELSEWHERE = {
    "/training/validation_split": "write data_split: {train: 0.8, validation: 0.1, test: 0.1}",
    "/decisions/cost_model": "cost_model belongs to output_format regression; classification has confidence_threshold",
    "/decisions/confidence_threshold": "confidence_threshold belongs to output_format classification; "
    "regression has cost_model",
}


def validation_problems(
    error: ValidationError, data: dict[str, Any], model: type[BaseModel]
) -> list[UnplacedProblem]:
    """One problem for each thing that pydantic found in `data`."""
    schema = model.model_json_schema()
    problems = []
    for details in error.errors(include_url=False):
        path = _path_in(details, data)
        problems.append((pointer(*path), _sentence(details, path, data, schema)))
    return list(dict.fromkeys(problems))


def _path_in(details: ErrorDetails, data: Any) -> tuple[str | int, ...]:
    """The error's location without what the file does not have (names of union members, gathered keys)."""
    path: list[str | int] = []
    for part in details["loc"]:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, tuple) and isinstance(part, int) and part < len(data)):
            path.append(part)
            data = data[part]
    if details["type"] == "union_tag_invalid":
        path.append(details["ctx"]["discriminator"].strip("'"))
    return tuple(path)


def _sentence(
    details: ErrorDetails, path: tuple[str | int, ...], data: dict[str, Any], schema: dict[str, Any]
) -> str:
    context = details.get("ctx", {})
    name = details["loc"][-1] if details["loc"] else ""
    match details["type"]:
        case "missing":
            return f"{name} is missing here"
        case "extra_forbidden":
            return _unknown_key(path, data, schema)
        case "union_tag_not_found":
            return f"{str(context['discriminator']).strip(chr(39))} is missing here"
        case "union_tag_invalid":
            valid = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return _unknown_choice(str(context["tag"]), valid)
        case "literal_error":
            return f"must be {context['expected']}, here is {_shown(details['input'])}"
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch" if details["loc"][-1] == "[key]":
            return "a name has letters, digits and _ only, and starts with a letter"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"a section belongs here, not {_shown(details['input'])}"
        case "tuple_type":
            return f"a list such as [1, 2] belongs here, not {_shown(details['input'])}"
    return f"{details['msg'][0].lower()}{details['msg'][1:]}, here is {_shown(details['input'])}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a section"
        case tuple():
            return f"a list of {len(value)}"
    return repr(value)


def _unknown_choice(given: str, valid: list[str]) -> str:
    near = nearest_name(given, valid)
    hint = f"did you mean {near}?" if near else f"choose from {', '.join(valid)}"
    return f"{given!r} is not known here; {hint}"


def _unknown_key(path: tuple[str | int, ...], data: dict[str, Any], schema: dict[str, Any]) -> str:
    if (sentence := _UNKNOWN_ELSEWHERE.get(pointer(*path))) is not None:
        return sentence
    key, valid = str(path[-1]), _keys_at(path[:-1], data, schema)
    near = nearest_name(key, valid)
    hint = f"did you mean {near}?" if near else f"valid are {', '.join(valid)}"
    return f"the key {key!r} is not known here; {hint}"


def _keys_at(path: tuple[str | int, ...], data: Any, schema: dict[str, Any]) -> list[str]:
    """Keys that the schema allows in the section at `path` of `data`."""
    node = schema
    for part in path:
        node = _member(node, data, schema)
        data = data[part]
        node = node["items"] if isinstance(part, int) else _value_of(part, node)
    return list(_member(node, data, schema).get("properties", {}))


def _value_of(key: str, node: dict[str, Any]) -> dict[str, Any]:
    """Schema of the value of `key`: of a named key, or of names that the author chooses (beside `indicator` too)."""
    properties: dict[str, Any] = node.get("properties", {})
    chosen = properties.get(key) or properties.get("memberships", node)
    if key in properties:
        return dict(chosen)
    values = chosen.get("patternProperties") or {"": chosen["additionalProperties"]}
    return dict(next(iter(values.values())))


def _member(node: dict[str, Any], data: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """`node` with references followed and the union's member chosen that `data` names."""
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
