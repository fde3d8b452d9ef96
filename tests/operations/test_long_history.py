"""With a long history, lists, searches and summaries read what they show and not the whole table."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from dashboard.pages import operation_list
from dashboard.pages.strategies import list_strategies
from operations.models import Operation, SearchText
from operations.search import matches
from tests.browser.sample_operations import STRATEGY
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db
HISTORY_LENGTH = 20_000
HISTORY = """
    INSERT INTO operations_operation (
        operation_id, operation_type, status, parameters, requirements, prefer_gpu, priority, queue, created_at, started_at,
        completed_at, waiting_reason, worker_id, attempt, max_attempts, attempts_from, resume, progress, result,
        error_class, error_message, error_traceback, idempotency_key, request_sha256, created_by_id
    )
    SELECT 'run' || number, 'backtesting', 'COMPLETED',
        jsonb_build_object('strategy_yaml', 'name: variant-' || number % 20, 'symbol', 'SYM' || number % 500),
        '{}', false, 0, true, ended, ended, ended, '', 'worker-' || number % 20, 1, 3, 0, true, '{}',
        jsonb_build_object('metrics', jsonb_build_object('total_return', number)), '', '', '', '', '', %s
    FROM (
        SELECT number, now() - number * interval '10 minutes' AS ended FROM generate_series(1, 20000) AS number
    ) AS numbered
"""
ATTEMPTS = """
    INSERT INTO operations_attempt (operation_id, number, worker_id, instance_id, endpoint_url, claimed_at, started_at,
        ended_at, outcome, error, report_sha256, metrics_cursor, logs_cursor)
    SELECT operation_id, 1, worker_id, '0', 'http://127.0.0.1:9', created_at, created_at, created_at, 'completed', '', '', 0, 0
    FROM operations_operation
"""
ADDRESSES = (
    "/operations",
    "/operations?created_by=operator",
    "/operations?created_by=nobody",
    "/operations?search=sym499",
    "/operations?search=nothing-like-it",
    "/operations?search=zz",
    "/operations?worker_id=worker-7",
    "/operations?status=COMPLETED",
    "/dashboard/operations",
    "/dashboard/operations?search=sym499",
    "/dashboard/operations?order=-completed",
    "/dashboard/operations?order=created",
    "/dashboard/operations?order=worker",
    "/dashboard/strategies",
    "/dashboard/strategies/{strategy}",
    "/dashboard/new/training",
    "/dashboard/",
)


@pytest.fixture
def history(staff: Any) -> str:
    """Store 20,000 operations; return the digest of a strategy."""
    with connection.cursor() as cursor:
        cursor.execute(HISTORY.replace("% ", "%% "), [staff.pk])
        cursor.execute(ATTEMPTS)
        cursor.execute("ANALYZE operations_operation, operations_searchtext, operations_attempt")
    return list_strategies()[0].digest


def test_no_page_and_no_list_reads_through_the_table(
    client: Client, staff: Any, history: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_list, "MAX_LISTED", 100)
    client.force_login(staff)
    scans = []
    for address in ADDRESSES:
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address.format(strategy=history)).status_code == 200
        for query in captured.captured_queries:
            # Prepared statements have no values that could be explained; they read rows by their keys.
            if query["sql"].lstrip().startswith(("SELECT", "WITH")) and "$1" not in query["sql"]:
                scans += [f"{address}: {scan}: {query['sql'][:300]}" for scan in long_scans(query["sql"])]
    assert not scans


def long_scans(sql: str) -> list[str]:
    """Return the parts of the plan that read more than a tenth of the history without an index of what they look for."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".replace("%", "%%"), [])
        ((plans,),) = cursor.fetchall()
    plan = (json.loads(plans) if isinstance(plans, str) else plans)[0]["Plan"]
    return [
        f"{node['Node Type']} of {node['Relation Name']} reads {read:.0f} rows"
        for node in nodes(plan)
        if "Relation Name" in node and (read := rows_read(node)) > HISTORY_LENGTH / 10
    ]


def rows_read(node: dict[str, Any]) -> float:
    """Rows that an index condition selected are not counted, except those that a filter then removed."""
    removed = float(node.get("Rows Removed by Filter", 0))
    is_selective = "Index Cond" in node or node["Node Type"] == "Bitmap Heap Scan"
    return float(node["Actual Loops"]) * (removed if is_selective else removed + float(node["Actual Rows"]))


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def search_for(text: str) -> set[str]:
    return set(Operation.objects.filter(matches(text)).values_list("pk", flat=True))


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("%_\\'\"ab 1"), min_size=3, max_size=20
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, st.text("ab%_\\' ", max_size=4), st.data())
@example("100%", "", None)
@example("ECH", "", None)
def test_every_part_of_a_value_finds_its_operation_and_no_other(
    db: None, value: str, other: str, data: Any
) -> None:
    Operation.objects.all().delete()
    operation = OperationFactory(operation_id="one", parameters={"x": [{"y": value}], "n": 3})
    OperationFactory(operation_id="two", parameters={"x": other})
    if data is not None:
        start = data.draw(st.integers(0, len(value) - 3))
        value = value[start : data.draw(st.integers(start + 3, len(value)))]
    part = value.strip()
    if len(part) < 3:
        return
    assert operation.pk in search_for(part)
    has_part = any(part.casefold() in text for text in (other, "echo", "two"))  # parameter, type and id
    assert has_part or "two" not in search_for(part)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("F", True), ("f", True), ("KO", True), ("GOO", True), ("oog", True), ("G", False), ("%", False), ("__", False),
        ("momentum_d", True), ("echo", True), ("two worlds", True), ("0.25", True), ("Ünïcöde", True), ("seconds", False),
    ],
)  # fmt: skip
def test_short_text_is_a_whole_word_and_longer_text_any_part(text: str, is_found: bool) -> None:
    parameters = {
        "strategy_yaml": STRATEGY, "symbols": ["GOOG", "F", "KO"], "seconds": 0.25, "note": "Two Worlds Ünïcöde",
    }  # fmt: skip
    operation = OperationFactory(parameters=parameters)
    assert (operation.pk in search_for(text)) is is_found


def test_an_error_can_be_searched_until_a_retry_clears_it(api: APIClient) -> None:
    operation = OperationFactory(status="FAILED", error_class="job", completed_at="2026-01-01T00:00Z")
    Operation.objects.filter(pk=operation.pk).update(error_message="ValueError: negative price")
    assert search_for("negative price") == {operation.pk}
    assert api.post(f"/operations/{operation.pk}/retry").status_code == 202
    assert search_for("negative price") == set()


@pytest.mark.parametrize(
    "parameters", [[], ["a"], 1, "text", {"strategy_yaml": 7, "model": {"a": 1}}], ids=str
)
def test_parameters_of_any_shape_can_be_stored(parameters: Any) -> None:
    """Only a custom administration or an older release would store these, and a trigger must not stop them."""
    OperationFactory(operation_id="odd", parameters=parameters)
    assert SearchText.objects.get().text.startswith("odd echo")


@pytest.mark.parametrize("total_return", [True, "9", [1], {"a": 1}, None])
def test_a_result_that_is_not_a_number_is_no_best_return(total_return: Any) -> None:
    for value in (0.1, total_return, 0.3, 0.2):
        OperationFactory(
            status="COMPLETED", completed_at="2026-01-01T00:00Z", parameters={"strategy_yaml": STRATEGY},
            result={"metrics": {"total_return": value}},
        )  # fmt: skip
    (strategy,) = list_strategies()
    assert (strategy.best_return, strategy.runs, strategy.name) == (0.3, 4, "momentum_daily")


def test_a_list_longer_than_its_pages_reach_shows_so(
    client: Client, staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_list, "MAX_LISTED", 60)
    OperationFactory.create_batch(61)
    client.force_login(staff)
    page = " ".join(client.get("/dashboard/operations?page=2").content.decode().split())
    assert "51–60 of more than 60" in page
    assert page.count('<span class="count">60+</span>') == 2  # all, and pending
    assert client.get("/dashboard/operations?page=3").status_code == 200
