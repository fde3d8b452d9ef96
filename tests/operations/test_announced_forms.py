"""Types that only workers know can be submitted like the product's own: by a form, a clone and a command."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from operations import artifacts
from operations.announced_forms import defaults
from operations.models import Artifact, MarketData, Operation
from operations.states import Status
from registry.models import Capability
from tests.factories import CapabilityFactory, OperationFactory
from worker_agent.inputs import ArtifactOf, Bars
from worker_agent.schema_keywords import ORDER_MARK
from worker_agent.values import find_fault

pytestmark = pytest.mark.django_db
DAY = datetime(2024, 1, 2, tzinfo=UTC)


class Volatility(BaseModel):
    """Measures how much prices move."""

    symbol: Annotated[str, Bars("1d")]
    window: int = Field(default=20, ge=2, le=500, description="Bars of one estimate")
    quantiles: list[float] = [0.5]
    earlier: Annotated[str, ArtifactOf("table.csv")] | None = None


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


@pytest.fixture(autouse=True)
def announced() -> None:
    schema = Volatility.model_json_schema()
    CapabilityFactory(operation_type="volatility", worker_type="volatility", parameters_schema=schema)
    file = artifacts.put([b"bars"])
    for symbol, timeframe in (("AAPL", "1d"), ("IBM", "1h")):
        MarketData.objects.create(
            symbol=symbol, timeframe=timeframe, file=file, rows=1, start=DAY, end=DAY, quality={}
        )


def entered(**values: str) -> dict[str, str]:
    return {f"parameters.{name}": text for name, text in values.items()}


def test_it_is_offered_with_its_description_and_has_a_form(browser: Client) -> None:
    chosen = browser.get("/dashboard/new").content.decode()
    assert 'href="/dashboard/new/volatility"' in chosen
    assert "Measures how much prices move." in chosen
    page = browser.get("/dashboard/new/volatility").content.decode()
    assert 'name="parameters.window"' in page
    assert "Bars of one estimate. At least 2, at most 500." in page
    assert '<option value="AAPL">' in page
    assert '<option value="IBM">' not in page, "it has no daily bars"
    assert browser.get("/dashboard/new/unheard-of").status_code == 404


def test_operations_with_the_artifact_are_offered(browser: Client) -> None:
    for name, status in (("table.csv", "COMPLETED"), ("table.csv", "CANCELLED"), ("other", "COMPLETED")):
        operation = OperationFactory(status=status, completed_at=DAY)
        file = artifacts.put([b"1"])
        Artifact.objects.create(operation=operation, role=Artifact.Role.OUTPUT, name=name, file=file)
    page = browser.get("/dashboard/new/volatility").content.decode()
    offered = [
        pk for pk in Operation.objects.values_list("pk", flat=True) if f'<option value="{pk}">' in page
    ]
    completed = Operation.objects.get(status=Status.COMPLETED, artifacts__name="table.csv")
    assert offered == [completed.pk]


def test_a_submission_stores_the_values_that_were_entered(browser: Client) -> None:
    form_data = entered(symbol="AAPL", window="30", quantiles="0.1\n0.9") | {"priority": "2"}
    response = browser.post("/dashboard/new/volatility", form_data)
    operation = Operation.objects.get()
    assert response["Location"] == f"/dashboard/operations/{operation.pk}"
    assert operation.parameters == {"symbol": "AAPL", "window": 30, "quantiles": [0.1, 0.9]}
    assert operation.priority == 2
    assert [artifact.name for artifact in operation.artifacts.all()] == ["symbol"]


@pytest.mark.parametrize(
    ("form_data", "name", "message"),
    [
        (entered(symbol="AAPL", window="1"), "parameters.window", "must be at least 2, not 1"),
        (entered(symbol="AAPL", window="many"), "parameters.window", "must be a whole number"),
        (entered(symbol="AAPL", quantiles="0.1\nx"), "parameters.quantiles", "1: must be a number"),
        (entered(), "parameters.symbol", "is required"),
        (entered(symbol="IBM"), "parameters.symbol", "IBM"),
        (entered(symbol="AAPL", earlier="nothing"), "parameters.earlier", "Unknown operation nothing."),
        (entered(symbol="AAPL") | {"after": "nothing"}, "after", "nothing"),
    ],
)
def test_an_error_is_shown_at_its_field_and_nothing_is_submitted(
    browser: Client, form_data: dict[str, str], name: str, message: str
) -> None:
    response = browser.post("/dashboard/new/volatility", form_data)
    page = response.content.decode()
    assert response.status_code == 422
    assert f'href="#id_{name}"' in page
    error = page.split(f'id="error_{name}">')[1].split("</span>")[0]
    assert message in error
    assert not Operation.objects.exists()


def test_a_clone_is_filled_and_names_its_original(browser: Client) -> None:
    original = OperationFactory(operation_type="volatility", parameters={"symbol": "AAPL", "window": 30})
    page = browser.get(f"/dashboard/operations/{original.pk}/clone").content.decode()
    assert 'action="/dashboard/new/volatility"' in page
    assert 'value="30"' in page
    form_data = entered(symbol="AAPL", window="40") | {"cloned_from": original.pk}
    browser.post("/dashboard/new/volatility", form_data)
    copy = Operation.objects.exclude(pk=original.pk).get()
    assert (copy.parameters["window"], copy.cloned_from_id) == (40, original.pk)


def test_defaults_that_were_not_sent_are_shown_as_defaults(browser: Client) -> None:
    operation = OperationFactory(operation_type="volatility", parameters={"symbol": "AAPL", "window": 5})
    page = " ".join(
        browser.get(f"/dashboard/operations/{operation.pk}?tab=parameters").content.decode().split()
    )
    assert "<dt>Window</dt> <dd>5</dd>" in page, "it was sent"
    marked = '<span class="muted small">default</span>'
    assert f"<dt>Quantiles</dt> <dd> 0.5 {marked} </dd>" in page
    assert f"<dt>Earlier</dt> <dd> – {marked} </dd>" in page
    assert page.count(marked) == 2


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["a", "b", "c"])
STORABLE = JSON_VALUES.filter(lambda value: find_fault(value) is None)
DEFINITION = st.fixed_dictionaries({}, optional={"default": STORABLE, "type": STORABLE}) | STORABLE


@given(st.dictionaries(NAMES, DEFINITION) | STORABLE, STORABLE, st.dictionaries(NAMES, STORABLE))
def test_any_schema_has_only_defaults_of_parameters_that_were_not_sent(
    properties: Any, order: Any, parameters: dict[str, Any]
) -> None:
    Capability.objects.filter(operation_type="volatility").update(
        parameters_schema={"properties": properties, ORDER_MARK: order}
    )
    expected = {
        name: definition["default"]
        for name, definition in (properties.items() if isinstance(properties, dict) else ())
        if isinstance(definition, dict) and "default" in definition and name not in parameters
    }
    assert defaults("volatility", parameters) == expected


def test_the_request_is_shown_as_code_beside_the_form(browser: Client) -> None:
    page = browser.post("/dashboard/new/volatility/preview", entered(symbol="AAPL", window="30"))
    assert "/operations" in page.content.decode()
    assert "&quot;window&quot;: 30" in page.content.decode()


def submit(*words: str) -> Operation:
    out = StringIO()
    call_command("submit", "volatility", *words, stdout=out)
    return Operation.objects.get(pk=out.getvalue().strip())


def test_the_command_converts_values_as_the_form_does(tmp_path: Path) -> None:
    words = ["-p", "symbol=AAPL", "-p", "window=30", "-p", "quantiles=0.1", "-p", "quantiles=0.9"]
    assert submit(*words).parameters == {"symbol": "AAPL", "window": 30, "quantiles": [0.1, 0.9]}
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"symbol": "AAPL", "window": 30}))
    assert submit(str(file), "-p", "window=40", "--priority", "3").parameters["window"] == 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["volatility", "-p", "window"], "must be NAME=VALUE"),
        (
            ["volatility", "-p", "symbol=AAPL", "-p", "window=1"],
            "/parameters/window: must be at least 2, not 1",
        ),
        (["volatility", "-p", "symbol=AAPL", "-p", "unknown=1", "-p", "window=x"], "must be a whole number"),
        (["volatility", "README.md"], "is not valid JSON"),
        (["unheard-of", "-p", "a=1"], "No worker has announced operations of type unheard-of"),
        (["training", "README.md", "-p", "a=1"], "does not take -p"),
        (["training"], "needs a FILE"),
    ],
)
def test_the_command_refuses_with_the_message_of_the_api(words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("submit", *words)
    assert not Operation.objects.exists()
