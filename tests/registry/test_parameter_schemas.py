"""Schemas come from workers and run in the web processes: whatever they contain, a validation ends soon."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from pytest_django import DjangoAssertNumQueries

from access.problems import Invalid
from operations import schemas
from operations.schemas import accepting_schemas, parameter_errors, read_schemas
from registry import parameter_schemas
from registry.parameter_schemas import UnsafeSchema, check
from tests.factories import CapabilityFactory


def errors_of(schema: Any, parameters: dict[str, Any]) -> list[dict[str, str]]:
    CapabilityFactory(operation_type="x", worker_type="x", parameters_schema=schema)
    return parameter_errors("x", read_schemas("x"), parameters)


def mutual(number: int, keyword: str) -> dict[str, Any]:
    """Each definition refers twice to the next, and the last to the first: 2**number expansions at one place."""
    definitions = {
        f"d{i}": {keyword: [{"$ref": f"#/$defs/d{(i + 1) % number}"}] * 2, "type": "integer"}
        for i in range(number - 1)
    }
    definitions[f"d{number - 1}"] = {"type": "integer"}
    return {"$ref": "#/$defs/d0", "$defs": definitions}


def recursive(number: int) -> dict[str, Any]:
    """Definitions that refer to all others at each level of the parameters."""
    names = [f"d{i}" for i in range(number)]
    inner = {
        "properties": {"a": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}},
        "required": ["b"],
    }
    return {"$ref": "#/$defs/d0", "$defs": dict.fromkeys(names, inner)}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("schema", "parameters"),
    [
        *((mutual(25, keyword), {}) for keyword in ("allOf", "anyOf", "oneOf")),
        (recursive(25), nested(20)),
        ({"properties": {"a": {"items": {"enum": list(range(9000))}}}}, {"a": ["x"] * 10_000}),
        ({"properties": {"a": {"anyOf": [{"type": "integer"}] * 900}}}, {"a": "x" * 1_000_000}),
    ],
    ids=["allOf", "anyOf", "oneOf", "recursive", "enum", "long messages"],
)
def test_an_expansion_without_end_is_cut_off(schema: Any, parameters: dict[str, Any]) -> None:
    """By steps, not by seconds: the same schema and parameters always have the same answer."""
    check(schema)
    (error,) = errors_of(schema, parameters)
    assert error["pointer"] == "/parameters"
    assert f"more than {schemas.MAX_STEPS} steps" in error["detail"]


@pytest.mark.django_db
def test_a_reference_to_itself_is_not_usable() -> None:
    (error,) = errors_of({"$ref": "#"}, {})
    assert "not usable" in error["detail"] or "steps" in error["detail"]


CATASTROPHIC = [
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(.*a){20}$",
    "a*a*a*a*a*b",
    "([a-zA-Z]+)*$",
    "^(([a-z])+.)+[A-Z]$",
]


@pytest.mark.django_db
@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_no_pattern_backtracks(pattern: str) -> None:
    """Exponential in a backtracking engine: each of these texts would take longer than the test may."""
    schema = {"properties": {"a": {"pattern": pattern}}}
    check(schema)
    errors_of(schema, {"a": "a" * 100_000 + "!"})


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?<!a)b", r"(a)\1", "(a{1000}){1000}", "(", "a" * 501, 7, None, "\\", "[z-a]", "x{1001}"],
)
def test_a_pattern_beyond_linear_time_is_refused_with_its_place(pattern: Any) -> None:
    with pytest.raises(UnsafeSchema) as raised:
        check({"properties": {"a": {"pattern": pattern}}})
    assert str(raised.value).startswith("/properties/a has a pattern")
    assert len(str(raised.value)) < 300


KEYWORDS = sorted(parameter_schemas.REFUSED)
REFERENCES = ["http://127.0.0.1:1/x", "file:///etc/passwd", "#anchor", "#/properties/a", "#/$defs/missing", "other",
              "#/$defs/a/b", "#/default", "", 7, None]  # fmt: skip
HOLDERS = ["items", "not", "if", "additionalProperties", "contains", "propertyNames", "allOf", "properties", "$defs",
           "dependentSchemas", "prefixItems"]  # fmt: skip


def holding(holder: str, schema: Any) -> dict[str, Any]:
    if holder in parameter_schemas.OF_SCHEMAS:
        return {holder: {"x": schema}}
    return {holder: [schema]} if holder in parameter_schemas.LISTS_OF_SCHEMAS else {holder: schema}


@pytest.mark.parametrize("holder", HOLDERS)
def test_nothing_forbidden_hides_anywhere(holder: str) -> None:
    forbidden = [{keyword: {}} for keyword in KEYWORDS]
    forbidden += [{"$ref": reference} for reference in REFERENCES]
    forbidden += [{"$schema": "http://json-schema.org/draft-07/schema#"}, {"pattern": "(?=a)"}]
    for part, outer in itertools.product(forbidden, HOLDERS):
        schema = {**holding(holder, holding(outer, part)), "default": {"pattern": "a"}}
        with pytest.raises(UnsafeSchema):
            check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"default": "x" * parameter_schemas.MAX_BYTES},
        {"properties": {f"p{i}": {} for i in range(parameter_schemas.MAX_SUBSCHEMAS + 1)}},
        {"type": 7},
        {"properties": []},
        {"minimum": "one"},
    ],
    ids=["long", "many parts", "no type", "no properties", "no minimum"],
)
def test_a_schema_beyond_the_bounds_or_invalid_is_refused(schema: Any) -> None:
    with pytest.raises(UnsafeSchema):
        check(schema)


def test_a_deep_schema_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(parameter_schemas.MAX_DEPTH + 1):
        schema = {"items": schema}
    with pytest.raises(UnsafeSchema, match="nested"):
        check(schema)


class Leg(BaseModel):
    name: str = Field(pattern=r"^[A-Z0-9./_-]{1,20}$")
    weights: list[float] = []
    inner: "list[Leg]" = []


class Typical(BaseModel):
    legs: list[Leg]
    mode: int | str | None = None
    tags: set[str] = set()
    options: dict[str, Leg] = {}


@pytest.mark.django_db
def test_what_models_announce_is_accepted_and_validated_as_before() -> None:
    schema = Typical.model_json_schema()
    check(schema)
    good = {
        "legs": [{"name": "AAPL", "inner": [{"name": "X"}]}],
        "tags": ["a", "b"],
        "options": {"o": {"name": "B"}},
    }
    assert errors_of(schema, good) == []
    bad = {"legs": [{"name": "aapl"}], "tags": ["a", "a"], "mode": []}
    assert {error["pointer"] for error in errors_of(schema, bad)} == {
        "/parameters/legs/0/name", "/parameters/tags", "/parameters/mode",
    }  # fmt: skip
    long = {"legs": [{"name": "A", "weights": [0.5] * 20_000}]}
    assert errors_of(schema, long) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab1", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5))
def test_items_are_unique_as_the_library_sees_them(items: list[Any]) -> None:
    schema = {"uniqueItems": True}
    token = schemas._budget.set(schemas._Budget())
    try:
        ours = schemas._LIMITED(schema).is_valid(items)
    finally:
        schemas._budget.reset(token)
    assert ours == Draft202012Validator(schema).is_valid(items), json.dumps(items)


@pytest.mark.django_db
def test_an_acceptance_may_be_by_recent_schemas_but_never_a_refusal(
    settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.SCHEMAS_CACHE_S = 60.0
    text, number = {"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": "number"}}}
    capability = CapabilityFactory(operation_type="cached", worker_type="x", parameters_schema=text)
    first = accepting_schemas("cached", {"a": "x"})
    with django_assert_num_queries(0):
        assert accepting_schemas("cached", {"a": "y"}) == first
    capability.parameters_schema = number
    capability.save()
    assert accepting_schemas("cached", {"a": 1}) != first
    with pytest.raises(Invalid):
        accepting_schemas("cached", {"a": "x"})
    schemas._recent.clear()
