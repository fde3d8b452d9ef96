"""The submit forms have the fields, defaults and choices of the API."""

from typing import Any

import pytest
from pydantic import BaseModel

from operations.kinds.backtesting.request import BacktestRequest
from operations.kinds.data_import.request import ImportRequest
from operations.kinds.training.request import TrainingRequest
from operations.presentation.forms import Form, form_data_of, request_body
from operations.registered_kinds import all_kinds

FORMS = {kind.operation_type: kind.form for kind in all_kinds() if kind.form is not None}
MODELS: dict[str, tuple[Form, type[BaseModel]]] = {
    "training": (FORMS["training"], TrainingRequest),
    "backtesting": (FORMS["backtesting"], BacktestRequest),
    "data_import": (FORMS["data_import"], ImportRequest),
}

API_ONLY = {"requirements"}
FORM_ONLY = {"file", "seeds"}


def test_every_form_is_tested_here() -> None:
    assert set(FORMS) == set(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_a_form_has_every_field_of_its_model(kind: str) -> None:
    form, model = MODELS[kind]
    assert {field.name for field in form.fields} - FORM_ONLY == set(model.model_fields) - API_ONLY


def test_each_kind_with_a_seed_has_a_number_of_seeds() -> None:
    with_seeds = {name for name, form in FORMS.items() if any(field.name == "seeds" for field in form.fields)}
    assert with_seeds == {kind.operation_type for kind in all_kinds() if kind.form and kind.is_seeded}


@pytest.mark.parametrize("kind", ["training", "backtesting"])
def test_an_unchanged_form_requests_the_defaults_of_the_api(kind: str) -> None:
    form, model = MODELS[kind]
    required = {"strategy_yaml": "name: x", "symbol": "AAPL"}
    body = request_body(form, required)
    assert set(body) == set(required) & {field.name for field in form.fields}
    assert model.model_validate(body) == model.model_validate({**body, **_defaults(form, model)})


def _defaults(form: Form, model: type[BaseModel]) -> dict[str, Any]:
    """The model's defaults of the fields with a value."""
    fields = [field for field in form.fields if field.value and field.name not in FORM_ONLY]
    return {field.name: model.model_fields[field.name].default for field in fields}


@pytest.mark.parametrize("allow_short", [True, False])
def test_a_clone_sends_the_same_body_as_its_original(allow_short: bool) -> None:
    body: dict[str, Any] = {
        "symbol": "GOOG", "model": "abc", "commission": 0.002, "fill": "next_close", "allow_short": allow_short,
        "after": ["abc"], "start_date": "2010-01-04", "queue": False,
    }  # fmt: skip
    form = MODELS["backtesting"][0]
    stored = BacktestRequest.model_validate(body).model_dump(mode="json")
    assert request_body(form, form_data_of(form, stored)) == body


@pytest.mark.parametrize(
    ("text", "sent"), [("", {}), ("true", {"allow_short": True}), ("false", {"allow_short": False})]
)
def test_a_question_without_an_answer_is_left_to_the_strategy(text: str, sent: dict[str, bool]) -> None:
    form = MODELS["backtesting"][0]
    (field,) = [field for field in form.fields if field.name == "allow_short"]
    assert field.choices == ("", "true", "false")
    assert request_body(form, {"allow_short": text}) == sent


def test_choices_come_from_the_model() -> None:
    fields = {field.name: field for field in MODELS["training"][0].fields}
    assert fields["device"].choices == ("auto", "cpu", "cuda", "mps")
    assert fields["seed"].value == str(TrainingRequest.model_fields["seed"].default)
    assert fields["strategy_yaml"].is_required
    assert not fields["symbols"].is_required
