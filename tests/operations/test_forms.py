"""The submit forms ask for what the API takes, with the API's own defaults and choices."""

from typing import Any

import pytest
from pydantic import BaseModel

from operations.kind import all_kinds
from operations.kinds.backtesting.request import BacktestRequest
from operations.kinds.data_import.request import ImportRequest
from operations.kinds.training.request import TrainingRequest
from operations.presentation.forms import Form, body_of, typed_of

FORMS = {kind.operation_type: kind.form for kind in all_kinds() if kind.form is not None}
MODELS: dict[str, tuple[Form, type[BaseModel]]] = {
    "training": (FORMS["training"], TrainingRequest),
    "backtesting": (FORMS["backtesting"], BacktestRequest),
    "data_import": (FORMS["data_import"], ImportRequest),
}

LEFT_TO_PROGRAMS = {"requirements"}
BESIDE_THE_MODEL = {"file"}


def test_every_form_is_examined_here() -> None:
    assert set(FORMS) == set(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_a_form_has_every_field_of_its_model(kind: str) -> None:
    form, model = MODELS[kind]
    assert {one.name for one in form.fields} - BESIDE_THE_MODEL == set(model.model_fields) - LEFT_TO_PROGRAMS


@pytest.mark.parametrize("kind", ["training", "backtesting"])
def test_a_form_that_is_left_as_it_is_asks_for_the_defaults_of_the_api(kind: str) -> None:
    form, model = MODELS[kind]
    required = {"strategy_yaml": "name: x", "symbol": "AAPL"}
    body = body_of(form, required)
    assert set(body) == set(required) & {one.name for one in form.fields}
    assert model.model_validate(body) == model.model_validate({**body, **_defaults(form, model)})


def _defaults(form: Form, model: type[BaseModel]) -> dict[str, Any]:
    """What stands in the form's fields, sent outright."""
    shown = {one.name: one.value for one in form.fields if one.value}
    return {name: model.model_fields[name].default for name in shown}


def test_what_an_operation_was_submitted_with_is_typed_and_sent_alike() -> None:
    asked: dict[str, Any] = {
        "symbol": "GOOG", "model": "abc", "commission": 0.002, "fill": "next_close", "allow_short": True,
        "after": ["abc"], "start_date": "2010-01-04", "queue": False,
    }  # fmt: skip
    form = MODELS["backtesting"][0]
    stored = BacktestRequest.model_validate(asked).model_dump(mode="json")
    assert body_of(form, typed_of(form, stored)) == asked


def test_choices_are_those_of_the_model() -> None:
    fields = {one.name: one for one in MODELS["training"][0].fields}
    assert fields["device"].choices == ("auto", "cpu", "cuda", "mps")
    assert fields["seed"].value == str(TrainingRequest.model_fields["seed"].default)
    assert fields["strategy_yaml"].is_required
    assert not fields["symbols"].is_required
