"""Results of own types by the schema that their worker announced: on the page, at the end of a command, by the API."""

import re
from io import StringIO
from typing import Annotated, Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from rest_framework.test import APIClient

from operations.models import Operation
from operations.presentation.shown_results import MAX_ROWS, STYLES, shown_values
from operations.printed_results import MAX_TEXT, MAX_VALUES
from registry import registration
from registry.models import Capability
from tests.factories import CapabilityFactory, OperationFactory
from tests.operations.test_listed_results import JSON, LARGE
from worker_agent.base import NoParameters
from worker_agent.operation_spec import OperationSpec
from worker_agent.protocol import Registration
from worker_agent.results import Shown
from worker_agent.schema_keywords import ORDER_MARK

pytestmark = pytest.mark.django_db


class Fit(BaseModel):
    accuracy: Annotated[float, Shown("percent", is_summary=True)]
    loss: float


class Result(BaseModel):
    price: Annotated[float, Shown(unit="USD")] = Field(title="Mean price")
    took: Annotated[float, Shown("duration")] = Field(description="Without the import.")
    fit: Fit | None = None
    kept: Annotated[int | None, Shown("file_size")] = None
    note: str = ""


VALUES = {"note": "good", "fit": {"accuracy": 0.625, "loss": 0.5}, "took": 75.0, "price": 12.5, "kept": 1500}
LINES = [
    "Mean price: 12.5 USD",
    "Took: 1 min 15 s",
    "Fit, Accuracy: 62.5 %",
    "Fit, Loss: 0.5",
    "Kept: 1.5 kB",
    "Note: good",
    "More: 1",
]


def announce(result: type[BaseModel]) -> None:
    spec = OperationSpec("pricing", "/pricing/start", NoParameters, lambda *_: {}, Result=result)
    registration.register(
        Registration(
            worker_id="pricing-1",
            worker_type="pricing",
            endpoint_url="http://127.0.0.1:9001",
            instance_id="1",
            operation_types=(spec.to_message(),),
        )
    )


def complete(result: dict[str, Any], **fields: Any) -> Operation:
    chosen = {"operation_type": "pricing", "status": "COMPLETED", "completed_at": now(), **fields}
    return OperationFactory(result=result, **chosen)


def lines_of(operation: Operation) -> list[str]:
    """Return what `manage.py follow` prints to standard output."""
    lines = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("follow", operation.pk, stdout=lines)
    expected = {"COMPLETED": 0, "FAILED": 1, "CANCELLED": 3}
    assert ended.value.code == expected[operation.status]
    return lines.getvalue().splitlines()


def test_the_order_titles_and_units_are_those_of_the_model(
    client: Client, staff: Any, api: APIClient
) -> None:
    announce(Result)
    operation = complete({**VALUES, "more": 1})
    assert lines_of(operation) == LINES
    (row,) = api.get(f"/operations?ids={operation.pk}&fields=result_values,headline").json()["results"]
    assert [f"{value['title']}: {value['text']}" for value in row["result_values"]] == LINES
    client.force_login(staff)
    page = client.get(f"/dashboard/operations/{operation.pk}").content.decode()
    place = page.index("<h2>Result</h2>")
    for text in (text for line in LINES for text in line.split(": ")):
        place = page.index(text, place)
    assert "Without the import." in page


def test_the_marked_value_stands_for_the_result_in_lists(api: APIClient) -> None:
    class Marked(BaseModel):
        first: int
        second: Annotated[float, Shown("percent", is_summary=True)]

    announce(Marked)
    complete({"first": 1, "second": 0.5})
    (row,) = api.get("/operations?fields=headline").json()["results"]
    assert row["headline"] == {"name": "Second", "text": "50.0 %"}


def test_without_a_mark_the_first_number_by_declaration_stands_for_it(api: APIClient) -> None:
    announce(Result)
    complete(VALUES)
    (row,) = api.get("/operations?fields=headline").json()["results"]
    assert row["headline"] == {"name": "Mean price", "text": "12.5 USD"}


class Position(BaseModel):
    """In another order than that of its JSON in the database, which is by length."""

    weight: Annotated[float, Shown("percent")]
    symbol: str
    note: str | None = None


class Portfolio(BaseModel):
    positions: list[Position] = Field(title="Positions held", description="The largest first.")
    rest: list[Position] | None = None


def test_a_list_of_objects_is_a_table(client: Client, staff: Any) -> None:
    announce(Portfolio)
    positions = [{"symbol": "AAPL", "weight": 0.6}, {"symbol": "IBM", "weight": 0.4, "more": {"rank": 2}}]
    rest = [{"symbol": "<b>", "weight": 0.1}] * (MAX_ROWS + 1)
    operation = complete({"positions": positions, "rest": rest})
    assert lines_of(operation) == ["Positions held: 2 rows", f"Rest: {MAX_ROWS + 1} rows"]
    client.force_login(staff)
    page = " ".join(client.get(f"/dashboard/operations/{operation.pk}").content.decode().split())
    table = page.split('aria-label="Positions held"')[1].split("</table>")[0]
    cells = [text.split("<")[0].strip() for text in re.split(r"<t[hd][^>]*>", table)[2:]]
    assert cells == [
        "Weight", "Symbol", "More, Rank",
        "60.0 %", "AAPL", "–",
        "40.0 %", "IBM", "2",
    ]  # fmt: skip
    assert "&lt;b&gt;" in page
    assert f"{MAX_ROWS} of {MAX_ROWS + 1} rows and 2 of 2 columns" in page


@pytest.mark.parametrize("value", [[], [1, {"a": 1}], [[1], [2]], "text", {"a": 1}])
def test_other_values_are_no_table(value: Any) -> None:
    assert [shown.table for shown in shown_values({"value": value})] == [None]


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_result_so_far_is_printed_with_the_status_of_the_end(status: str) -> None:
    error = {"error_class": "job", "error_message": "no"} if status == "FAILED" else {}
    assert lines_of(complete({"rows": 3}, status=status, **error)) == ["Rows: 3"]


def test_of_a_run_its_metrics_are_printed() -> None:
    result = {"metrics": {"total_return": 0.25, "sharpe": 1.5}, "provenance": {"build": "1"}}
    assert lines_of(complete(result, operation_type="backtesting")) == [
        "Sharpe: 1.50",
        "Total return: 25.0 %",
    ]


def test_what_is_printed_is_bounded_and_harmless() -> None:
    result = {"text": f"\x1b[2J\n{LARGE}", **{f"figure_{number:04}": number for number in range(500)}}
    lines = lines_of(complete(result))
    assert len(lines) == MAX_VALUES + 1
    assert lines[-1] == f"Further values: {len(result) - MAX_VALUES}"
    assert max(map(len, lines)) <= 2 * MAX_TEXT + 2
    assert not any("\x1b" in line for line in lines)


STYLE = st.sampled_from([*STYLES, "unknown", ""]) | JSON
MARK = st.fixed_dictionaries({}, optional={"style": STYLE, "unit": JSON, "is_summary": JSON})
DEFINITION = st.fixed_dictionaries(
    {},
    optional={"title": JSON, "description": JSON, "x-ktrdr-shown": MARK | JSON, "anyOf": JSON, "$ref": JSON},
)
NAMES = st.sampled_from(["a", "b", "c"])
SCHEMA = st.fixed_dictionaries(
    {},
    optional={
        "properties": st.dictionaries(NAMES, DEFINITION | JSON) | JSON,
        ORDER_MARK: JSON,
        "$defs": JSON,
    },
)


@given(st.dictionaries(NAMES, JSON), SCHEMA)
def test_any_schema_shows_every_value_once(result: dict[str, Any], schema: dict[str, Any]) -> None:
    def leaves(value: dict[str, Any], start: str = "") -> list[str]:
        return [
            name
            for key, inner in value.items()
            for name in (
                leaves(inner, f"{start}{key}.") if isinstance(inner, dict) else [f"{start}{key}"]
            )
        ]  # fmt: skip

    values = shown_values(result, schema)
    for table in [value.table for value in values if value.table is not None]:
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert sorted(value.name for value in values) == sorted(leaves(result))
    assert all(isinstance(value.text, str) for value in values)


def test_a_registration_stores_the_schema_and_refuses_an_unsafe_one() -> None:
    announce(Result)
    stored = Capability.objects.get(operation_type="pricing").result_schema
    assert stored is not None
    assert stored[ORDER_MARK] == list(Result.model_fields)

    class Unsafe(BaseModel):
        text: str = Field(json_schema_extra={"pattern": "(?=a)"})

    with pytest.raises(registration.parameter_schemas.UnsafeSchema, match=r"pricing \(result\)"):
        announce(Unsafe)


def test_the_types_are_listed_with_the_schema(api: APIClient) -> None:
    CapabilityFactory(operation_type="pricing", result_schema={"type": "object"})
    CapabilityFactory(operation_type="plain")
    types = {row["operation_type"]: row for row in api.get("/operation-types").json()["results"]}
    assert types["pricing"]["announced"][0]["result_schema"] == {"type": "object"}
    assert types["plain"]["announced"][0]["result_schema"] is None
