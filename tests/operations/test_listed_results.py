"""Results in lists: own types show one of their values, and a list never loads the rest of their results."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from dashboard.pages.operation_rows import describe
from operations.announced_results import MAX_SHOWN, headline
from operations.listed_results import headlines_of, with_listed_results
from operations.models import Operation
from operations.states import Status
from tests.factories import CapabilityFactory, OperationFactory
from worker_agent.visible_text import CONTROLS

pytestmark = pytest.mark.django_db
LARGE = "x" * 900_000
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def complete(result: dict[str, Any] | None, operation_type: str = "pricing") -> Operation:
    return OperationFactory(
        operation_type=operation_type, status=Status.COMPLETED, completed_at=now(), result=result
    )


def summary_of(operation: Operation) -> str:
    """Return the summary of the operation as a list has it."""
    (row,) = describe(with_listed_results(Operation.objects.filter(pk=operation.pk)))
    summary = vars(row)["headline"]
    return f"{summary.name} {summary.text}" if summary else ""


@pytest.mark.parametrize(
    ("result", "summary"),
    [
        ({"mean_price": 12.345678, "note": "good"}, "Mean price 12.35"),
        ({"a": "text", "paths": 9}, "Paths 9"),
        ({"ok": True, "zz": {"loss": 1}}, "Ok yes"),
        ({"verdict": "buy\nnow"}, "Verdict buy now"),
        ({"curve": [1, 2], "nested": {"loss": 0.5}, "nothing": None}, ""),
        ({"log": LARGE, "loss": 0.25}, "Loss 0.25"),
        ({LARGE: 1, "paths": 7}, "Paths 7"),
        ({f"figure_{number:04}": number for number in range(2000)}, "Figure 0000 0"),
        ({}, ""),
        (None, ""),
    ],
    ids=["number", "number first", "truth", "text", "nested", "large value", "large name", "many", "empty", "none"],
)  # fmt: skip
def test_one_short_value_summarizes_the_result_of_an_own_type(
    result: dict[str, Any] | None, summary: str
) -> None:
    assert summary_of(complete(result)) == summary


@given(st.dictionaries(st.text(), JSON, max_size=5), st.dictionaries(st.text(), JSON, max_size=5))
def test_every_result_has_a_bounded_summary_of_one_harmless_line(
    result: dict[str, Any], schema: dict[str, Any]
) -> None:
    summary = headline(result, schema)
    scalars = [value for value in result.values() if isinstance(value, bool | int | float | str)]
    assert (summary is not None) == bool(scalars)
    for text in (summary.name, summary.text) if summary else ():
        assert len(text) <= MAX_SHOWN
        assert not CONTROLS.search(text)
        assert "\n" not in text


def test_a_list_loads_the_results_of_the_product_and_not_those_of_own_types() -> None:
    complete({"metrics": {"total_return": 0.25}}, "backtesting")
    complete({"log": LARGE, "curve": [LARGE], "loss": 1})
    for row in with_listed_results(Operation.objects.all()):
        assert "result" in row.get_deferred_fields()
        assert len(str(vars(row)["listed_result"])) < 100
        assert headlines_of([row])


def test_the_lists_show_the_summary(client: Client, person: Any, api: APIClient) -> None:
    operation = complete({"mean_price": 12.5, "log": LARGE})
    complete({"metrics": {"total_return": 0.25}}, "backtesting")
    client.force_login(person)
    for address in ("/dashboard/operations", "/dashboard/"):
        page = client.get(address).content.decode()
        assert "Mean price" in page, address
        assert "12.5" in page, address
        assert "+25.0 %" in page, address
    rows = api.get("/operations?fields=headline,result,operation_type").json()["results"]
    assert [row["headline"]["text"] for row in rows] == ["+25.0 %", "12.5"]
    assert rows[1]["result"] == operation.result
    lines = StringIO()
    call_command("list_operations", stdout=lines)
    assert "Mean price 12.5" in lines.getvalue()
    assert "RESULT" in lines.getvalue().splitlines()[0]


def test_the_summary_is_text_on_a_page_and_in_a_terminal(client: Client, person: Any) -> None:
    complete({"<b>bold</b>": "\x1b[2J<script>alert(1)</script>\u202e"})
    client.force_login(person)
    page = client.get("/dashboard/operations").content.decode()
    assert "<b>bold" not in page
    assert "<script>alert" not in page
    assert "\u202e" not in page
    lines = StringIO()
    call_command("list_operations", stdout=lines)
    assert "\x1b" not in lines.getvalue()
    assert "\u202e" not in lines.getvalue()


def test_the_summaries_of_all_types_take_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(3):
        schema = {
            "properties": {"b": {"title": f"Second of {number}", "x-ktrdr-shown": {"is_summary": True}}}
        }
        CapabilityFactory(operation_type=f"own_{number}", result_schema=schema)
        complete({"a": 1, "b": 2}, f"own_{number}")
    complete({"metrics": {"total_return": 0.25}}, "backtesting")
    rows = list(with_listed_results(Operation.objects.all()))
    with django_assert_num_queries(1):
        summaries = headlines_of(rows)
    assert {summary.name for summary in summaries.values()} == {
        "return",
        *(f"Second of {n}" for n in range(3)),
    }


def test_a_row_of_another_query_is_summarized_too() -> None:
    operation = complete({"loss": 0.5})
    with CaptureQueriesContext(connection) as queries:
        summary = headlines_of([operation])[operation.pk]
    assert (summary.name, summary.text, len(queries)) == ("Loss", "0.5", 1)
