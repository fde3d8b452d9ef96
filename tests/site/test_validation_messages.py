"""Messages about rejected values contain no term of a validator and no regular expression, for every model and schema."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

import access
import operations
import registry
import worker_agent
from operations.schema_messages import problems_of as problems_of_schema
from worker_agent.validation_messages import MAX_CHARACTERS, must_have_form, problems_of, quote
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.learning.training_parameters import TrainingParameters
from workers.market_data.parameters import ImportParameters

JARGON = (
    "should have", "should be", "Input should", "should match", "tuple", "dict", "str_", "regex", "pattern", "after validation",
    "^[", "]+", "]*", "[A-Z", "Value error", "Assertion", "instance of", "NoneType", "pydantic", "required property",
    "was unexpected", "is not of type", "does not match", "valid under any", "type=", "discriminator", "JSON-schema",
)  # fmt: skip
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**40, float("nan"), "", "x", "a b\n", "\x00", "\udc80", "é" * 500, "2010-02-30", [], [[]], [1] * 2000, {},
    {"zz": 1}, [{"zz": {}}], {"x" * 200: "y" * 200},
)  # fmt: skip


def _models() -> list[type[BaseModel]]:
    for package in (access, operations, registry, worker_agent):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(
                part in module.name for part in (".migrations", ".__main__", ".testing", ".management")
            ):
                importlib.import_module(module.name)
    rooms = ("access.", "operations.", "registry.", "worker_agent.", "workers.backtesting.", "workers.learning.", "workers.market_data.")  # fmt: skip
    found = {model for model in _subclasses(BaseModel) if model.__module__.startswith(rooms)}
    assert {BacktestParameters, TrainingParameters, ImportParameters} <= found
    return sorted(found, key=lambda model: f"{model.__module__}.{model.__name__}")


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


MODELS = _models()


def _payloads(model: type[BaseModel]) -> Iterator[Any]:
    """Yield content with each wrong value in each field, and content without any field."""
    yield from ({}, [], "text", {"no_such_field": 1})
    for name, field in model.model_fields.items():
        for value in WRONG:
            yield {field.alias or name: value}


def _check(details: list[str]) -> None:
    for detail in details:
        assert detail
        assert len(detail.encode()) < 600
        assert len(detail) < 300, detail
        assert not any(term in detail for term in JARGON), detail


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_message_about_content_contains_the_terms_of_a_validator(model: type[BaseModel]) -> None:
    for payload in _payloads(model):
        try:
            model.model_validate(payload)
        except ValidationError as error:
            problems = problems_of(error)
            assert problems
            _check([problem["detail"] for problem in problems])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_message_about_a_schema_contains_the_terms_of_a_validator(model: type[BaseModel]) -> None:
    try:
        validator = Draft202012Validator(model.model_json_schema())
    except PydanticUserError:
        pytest.skip("the model has no schema")
    for payload in _payloads(model):
        if isinstance(payload, dict):
            for error in validator.iter_errors(payload):
                problems = list(problems_of_schema(error, "parameters"))
                assert problems
                _check([problem["detail"] for problem in problems])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^[A-Za-z0-9^][A-Za-z0-9^=_.-]{0,63}$", "letters, digits and the characters ^ = _ . -, at most 64 of them, starting with"),
        ("^[0-9a-f]{64}$", "digits and letters from a to f, exactly 64 of them"),
        ("^[A-Za-z_]+$", "letters and the character _"),
        ("^(/[a-z]+)+$", "does not have the form that is needed here"),
    ],
)  # fmt: skip
def test_the_form_of_a_name_is_described_in_words(pattern: str, words: str) -> None:
    assert words in must_have_form(pattern, "a b")


def test_a_value_is_shown_by_at_most_eighty_characters() -> None:
    assert len(quote("x" * 1000)) == MAX_CHARACTERS
    assert quote([1] * 1000) == "a list of 1000"
    assert quote({"a": "x" * 1000}) == "an object"
