"""Pages are served with a pinned number of queries, however many rows there are, and take any address."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from operations.models import Operation
from operations.pages.comparison import compare, load
from operations.pages.strategies import used
from tests.browser.population import operation, populate

SIGNED_IN = 2
"""Queries of every page: the session and its user."""


@pytest.fixture
def ids(staff: Any) -> dict[str, str]:
    cache.clear()
    return populate(staff)


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


QUERIES = {
    "": 12,
    "operations": 4,
    "operations?status=FAILED": 4,
    "operations/{running}": 5,
    "operations/{trained}?tab=metrics": 2,
    "operations/{running}?tab=log": 3,
    "operations/{trained}?tab=parameters": 1,
    "operations/{trained}?tab=events": 2,
    "operations/{trained}?tab=artifacts": 2,
    "workers": 7,
    "workers/training-01": 6,
    "market-data": 2,
    "strategies": 2,
    "strategies/{strategy}": 1,
    "compare?operation={trained}&operation={trained_again}": 2,
}


@pytest.mark.parametrize("address", QUERIES)
def test_a_page_asks_the_same_number_of_queries_for_many_rows_as_for_few(
    browser: Client,
    ids: dict[str, str],
    staff: Any,
    address: str,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        operation(staff, "training", "COMPLETED", worker_id=f"training-{number:02}", hours=1 + number)
    full = f"/dashboard/{address.format(**ids, strategy=used()[0].digest)}"
    with django_assert_num_queries(QUERIES[address] + SIGNED_IN, info=address):
        answer = browser.get(full)
    assert answer.status_code == 200


def test_pages_are_for_people_who_are_signed_in(client: Client, ids: dict[str, str]) -> None:
    for address in ("", "operations", f"operations/{ids['running']}", "workers", "market-data", "strategies"):
        answer = client.get(f"/dashboard/{address}")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/dashboard/login?next=")


@pytest.mark.parametrize(
    "address",
    [
        "operations/unknown",
        "operations/%00",
        "operations/unknown/log?after=0",
        "operations/{running}/log?after=many",
        "operations/{running}?tab=none",
        "workers/unknown",
        "workers/%00",
        "market-data/AAPL/3w",
        "market-data/%00/1d",
        "strategies/0123",
    ],
)
def test_what_does_not_exist_is_not_found(browser: Client, ids: dict[str, str], address: str) -> None:
    assert browser.get(f"/dashboard/{address.format(**ids)}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "page=9999",
        "page=x",
        "status=NONE",
        "status=%00",
        "search=%00",
        "search=" + "a" * 3000,
        "order=password",
        "operation_type=%27%22%3Cscript%3E",
        "active=true&status=FAILED",
    ],
)
def test_the_list_takes_any_query(browser: Client, ids: dict[str, str], query: str) -> None:
    assert browser.get(f"/dashboard/operations?{query}").status_code == 200


def test_the_list_finds_by_id_symbol_and_strategy(browser: Client, ids: dict[str, str]) -> None:
    for search, role in ((ids["failed"], "failed"), ("GOOG", "backtested"), ("momentum", "trained")):
        page = browser.get("/dashboard/operations", {"search": search}).content.decode()
        assert f"/dashboard/operations/{ids[role]}" in page


def test_text_of_users_and_workers_is_escaped(browser: Client, staff: Any) -> None:
    evil = "<script>alert(1)</script>"
    row = operation(
        staff,
        "training",
        "FAILED",
        worker_id="w",
        error_class="job",
        error_message=evil,
        parameters={"symbol": evil},
    )
    for tab in ("summary", "parameters", "events"):
        assert evil not in browser.get(f"/dashboard/operations/{row.pk}?tab={tab}").content.decode()


def test_the_live_part_is_sent_again_only_when_it_changed(browser: Client, ids: dict[str, str]) -> None:
    address = f"/dashboard/operations/{ids['running']}/live"
    first = browser.get(address)
    same = browser.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, same.status_code) == (200, 304)

    Operation.objects.filter(pk=ids["running"]).update(progress={"percentage": 44})
    changed = browser.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "44 %" in changed.content.decode()


def test_the_live_part_of_an_ended_operation_asks_no_more(browser: Client, ids: dict[str, str]) -> None:
    text = browser.get(f"/dashboard/operations/{ids['trained']}/live").content.decode()
    assert "hx-get" not in text
    assert "It has ended." in text


def test_the_log_continues_where_it_was_left(browser: Client, ids: dict[str, str]) -> None:
    row = Operation.objects.get(pk=ids["running"])
    newest = row.log_lines.order_by("-pk")[0]
    address = f"/dashboard/operations/{row.pk}/log"
    assert browser.get(address, {"after": newest.pk}).status_code == 204
    text = browser.get(address, {"after": newest.pk - 2}).content.decode()
    assert text.count('class="log-line') == 2


def test_the_log_is_filtered_by_level_and_text(browser: Client, ids: dict[str, str]) -> None:
    address = f"/dashboard/operations/{ids['running']}?tab=log"
    assert browser.get(f"{address}&level=warning").content.decode().count('class="log-line') == 120 // 23
    assert browser.get(f"{address}&find=epoch 77:").content.decode().count('class="log-line') == 1


def test_a_comparison_marks_the_best_value_and_names_what_differs(
    browser: Client, ids: dict[str, str]
) -> None:
    first, second = (
        compared.pk
        for compared in Operation.objects.filter(pk__in=[ids["trained"], ids["trained_again"]]).order_by(
            "result__metrics__test__loss"
        )
    )
    found = compare(load([second, first]))
    loss = next(row for row in found.metrics if row.name == "test.loss")
    assert loss.best == 1
    assert {row.name for row in found.different} == set()
    assert browser.get("/dashboard/compare", {"operation": first}).status_code == 200


def test_the_numbers_shown_are_those_of_the_result(browser: Client, ids: dict[str, str]) -> None:
    result = Operation.objects.get(pk=ids["backtested"]).result
    assert result is not None
    text = browser.get(f"/dashboard/operations/{ids['backtested']}").content.decode()
    assert f"{result['metrics']['total_return'] * 100:+.1f} %" in text
    assert f"{result['metrics']['sharpe']:.2f}" in text
    for warning in result["warnings"]:
        assert warning in text
