"""Forms from the schemas that workers announce: what a model validates can be entered, and comes back from a clone."""

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from operations.presentation.forms import PARAMETERS, Form, form_data_of, request_body
from operations.presentation.schema_forms import schema_form
from worker_agent.inputs import ArtifactOf, Bars


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Inner(BaseModel):
    depth: int = 1


class Everything(BaseModel):
    """Each kind of parameter once."""

    word: str
    count: int = Field(default=5, ge=1, le=10, description="How often it runs")
    share: float | None = Field(default=None, gt=0, lt=1)
    is_fast: bool = True
    is_sure: bool | None = None
    level: Level = Level.LOW
    mode: Literal["a", "b"] | None = None
    size: Literal[1, 2, 4]
    day: date | None = None
    essay: str = Field(default="", max_length=5000)
    names: list[str] = []
    lengths: list[int] = [1, 2]
    symbol: Annotated[str, Bars("1d")] = "AAPL"
    fitted: Annotated[str, ArtifactOf("model.bin")] | None = None
    inner: Inner = Inner()
    either: int | str = 3
    pairs: list[list[int]] = []


FORM = schema_form("everything", Everything.model_json_schema())
FIELDS = {field.name.removeprefix(PARAMETERS): field for field in FORM.main}


def test_each_parameter_has_the_input_of_its_type() -> None:
    kinds = {name: field.kind for name, field in FIELDS.items()}
    assert kinds == {
        "word": "text", "count": "number", "share": "number", "is_fast": "check", "is_sure": "choice",
        "level": "choice", "mode": "choice", "size": "choice", "day": "date", "essay": "area", "names": "lines",
        "lengths": "lines", "symbol": "text", "fitted": "text", "inner": "json", "either": "json", "pairs": "json",
    }  # fmt: skip
    assert {name for name, field in FIELDS.items() if field.is_required} == {"word", "size"}
    assert [field.name for field in FORM.main[:2]] == ["parameters.word", "parameters.size"]
    assert FORM.description == "Each kind of parameter once."


def test_labels_helps_defaults_and_choices_come_from_the_schema() -> None:
    assert (FIELDS["count"].value, FIELDS["count"].help) == (
        "5",
        "How often it runs. At least 1, at most 10.",
    )
    assert FIELDS["share"].help == "Greater than 0, less than 1."
    assert (FIELDS["level"].value, FIELDS["level"].choices) == ("low", ("low", "high"))
    assert FIELDS["mode"].choices == ("", "a", "b")
    assert FIELDS["size"].choices == ("", "1", "2", "4")
    assert FIELDS["is_sure"].choices == ("", "true", "false")
    assert FIELDS["lengths"].value == "1\n2"
    assert (FIELDS["symbol"].mark, FIELDS["fitted"].mark) == (("timeframe", "1d"), ("artifact", "model.bin"))


@settings(deadline=None)
@given(
    st.builds(
        Everything,
        word=st.from_regex(r"\A[a-z0-9]+( [a-z]+)*\Z"),
        symbol=st.sampled_from(["AAPL", "1"]),
        essay=st.from_regex(r"\A([a-z]+(\n[a-z]+)*)?\Z"),
        names=st.lists(st.from_regex(r"\A[a-z0-9]+( [a-z]+)?\Z"), max_size=3),
        fitted=st.none() | st.from_regex(r"\A[a-z0-9]{3}\Z"),
    )
)
def test_a_clone_of_any_parameters_sends_what_gives_the_same_parameters(parameters: Everything) -> None:
    stored = parameters.model_dump(mode="json")
    body = request_body(FORM, form_data_of(FORM, stored))
    assert body["operation_type"] == "everything"
    sent = Everything.model_validate(body["parameters"]).model_dump(mode="json")
    # An emptied input is not sent: a list or an optional value that has a default cannot be emptied in the form.
    kept = {name for name, value in stored.items() if value not in ([], None)}
    assert {name: sent[name] for name in kept} == {name: stored[name] for name in kept}


def test_an_unchanged_form_sends_no_parameter_and_waits_as_the_api_does() -> None:
    assert request_body(FORM, {}) == {"operation_type": "everything", "parameters": {}}
    body = request_body(FORM, {"priority": "3", f"{PARAMETERS}is_fast": "false", f"{PARAMETERS}size": "4"})
    assert body == {
        "operation_type": "everything", "parameters": {"is_fast": False, "size": 4}, "priority": 3,
    }  # fmt: skip


def test_text_that_is_not_a_value_of_the_type_is_left_for_the_api_to_reject() -> None:
    entered = {"count": "many", "inner": "{depth", "lengths": "1\n\n x ", "names": "1\n2"}
    body = request_body(FORM, {f"{PARAMETERS}{name}": text for name, text in entered.items()})
    assert body["parameters"] == {
        "count": "many", "inner": "{depth", "lengths": [1, "x"], "names": ["1", "2"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pointer", "located"),
    [
        ("/parameters/count", ("parameters.count", "")),
        ("/parameters/lengths/1", ("parameters.lengths", "1")),
        ("/parameters/inner/depth", ("parameters.inner", "depth")),
        ("/parameters/unknown", ("parameters", "unknown")),
        ("/after/0", ("after", "0")),
        ("", ("", "")),
    ],
)
def test_an_error_is_located_at_its_field(pointer: str, located: tuple[str, str]) -> None:
    assert FORM.locate(pointer) == located


def test_a_schema_that_names_no_parameter_is_one_field() -> None:
    form = schema_form("free", {"type": "object"})
    assert [(field.name, field.kind) for field in form.main] == [("parameters", "json")]
    assert request_body(form, {"parameters": '{"a": 1}'}) == {
        "operation_type": "free",
        "parameters": {"a": 1},
    }
    assert request_body(form, form_data_of(form, {"a": [1]}))["parameters"] == {"a": [1]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["string", "#/$defs/a", "array", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "$ref", "anyOf", "allOf", "enum", "items", "default", "title", "maxLength", "const", "minimum"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(definition=JSON, shared=JSON)
def test_any_schema_has_a_form(definition: Any, shared: Any) -> None:
    form: Form = schema_form(
        "odd", {"properties": {"a": definition}, "$defs": {"a": shared}, "required": shared}
    )
    assert [field.name for field in form.main] == ["parameters.a"]
    request_body(form, {"parameters.a": "1"})
