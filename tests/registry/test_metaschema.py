"""The merged metaschema accepts and refuses the same schemas as the one that JSON Schema defines."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from registry import metaschema

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "text", "object", "#a b", "^(", "http://x/#part", [], [1], ["a"], ["a", "a"],
    ["string", "null"], ["string", "string"], [{}], [{"type": 1}], {}, {"a": 1}, {"a": {}}, {"a": {"minimum": "0"}},
    {"a": ["b"]}, {"a": ["b", "b"]}, {"type": "number"}, {"type": "numbers"}, {"maxLength": -1}, {"$ref": 1},
)  # fmt: skip
KEYWORDS = sorted({*metaschema.merge()["properties"], "unknown", "x-mark"})


def is_refused(check: Any, schema: Any) -> bool:
    try:
        check(schema)
    except SchemaError:
        return True
    return False


def test_every_keyword_of_the_standard_is_known() -> None:
    assert {"$ref", "properties", "type", "format", "title", "contentSchema", "unevaluatedItems"} < set(
        KEYWORDS
    )


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_may_have_the_same_values(keyword: str) -> None:
    for value in VALUES:
        for schema in (
            {keyword: value},
            {"properties": {"a": {keyword: value}}},
            {"$defs": {"a": {"allOf": [{keyword: value}]}}},
            {"items": {"additionalProperties": {keyword: value}}},
        ):
            expected = is_refused(Draft202012Validator.check_schema, schema)
            assert is_refused(metaschema.check, schema) == expected, schema


@pytest.mark.parametrize("schema", [True, False, None, 1, "text", []])
def test_a_schema_is_an_object_or_a_boolean(schema: Any) -> None:
    assert is_refused(metaschema.check, schema) == is_refused(Draft202012Validator.check_schema, schema)
