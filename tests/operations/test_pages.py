"""Pages are served with a pinned number of queries, however many rows there are, and take any address."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from dashboard.pages.comparison import compare, load
from dashboard.pages.strategies import runs_of, used
from operations import artifacts
from operations.models import Operation
from tests.browser.population import STRATEGY, operation, populate, trained
from tests.browser.reports import backtest_report

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
    "operations/{trained}?tab=report": 3,
    "operations/{backtested}?tab=report": 2,
    "operations/{running}?tab=log": 3,
    "operations/{trained}?tab=parameters": 1,
    "operations/{trained}?tab=events": 2,
    "operations/{trained}?tab=artifacts": 2,
    "workers": 7,
    "workers/training-01": 6,
    "market-data": 2,
    "strategies": 2,
    "strategies/{strategy}": 2,
    "compare?operation={trained}&operation={trained_again}": 2,
    "compare?operation={backtested}&operation={backtested_again}": 3,
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
    answer = browser.get(f"/dashboard/operations/{ids['trained']}/live?tab=log")
    text = answer.content.decode()
    assert "hx-get" not in text
    assert "It has ended." in text
    assert "HX-Refresh" not in answer.headers


def test_the_page_on_which_the_result_was_awaited_comes_anew_with_it(
    browser: Client, ids: dict[str, str]
) -> None:
    answers = [browser.get(f"/dashboard/operations/{ids[name]}/live") for name in ("running", "trained")]
    assert [answer.headers.get("HX-Refresh") for answer in answers] == [None, "true"]


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
    found = compare(load([ids["trained_again"], ids["trained"]]))
    loss = next(row for row in found.metrics if row.name == "test.loss")
    assert loss.best == {1}
    assert found.different == []
    assert browser.get("/dashboard/compare", {"operation": ids["trained"]}).status_code == 200


def test_equal_bests_are_both_marked(ids: dict[str, str]) -> None:
    Operation.objects.filter(pk=ids["trained"]).update(result={"metrics": {"test": {"loss": 0.5}}})
    three = [ids["trained"], ids["trained_again"], ids["backtested"]]
    Operation.objects.filter(pk=ids["backtested"]).update(result={"metrics": {"test": {"loss": 0.5}}})
    (loss,) = [row for row in compare(load(three)).metrics if row.name == "test.loss"]
    assert loss.best == {0, 2}


def test_metrics_are_compared_in_their_own_units_the_return_first(ids: dict[str, str]) -> None:
    found = compare(load([ids["backtested"], ids["backtested_again"]])).metrics
    assert [row.title for row in found[:3]] == ["Total return", "CAGR", "Volatility"]
    assert (found[0].texts, found[0].best) == (["39.4 %", "4.4 %"], {0})
    first = compare(load([ids["trained"], ids["trained_again"]])).metrics[0]
    assert (first.title, first.texts) == ("Accuracy, test", ["56.3 %", "52.3 %"])


def test_strategies_are_compared_value_by_value(ids: dict[str, str], staff: Any) -> None:
    longer = operation(
        staff,
        "training",
        "COMPLETED",
        parameters={"strategy_yaml": STRATEGY.replace("period: 14", "period: 21")},
    )
    found = compare(load([ids["trained"], longer.pk]))
    differing = {row.name: row.values for row in found.different}
    assert differing["strategy.indicators.rsi_14.period"] == [14, 21]
    assert differing["seed"] == [42, None]
    assert "strategy.indicators.rsi_14.type" in {row.name for row in found.same}


def test_curves_of_ten_operations_are_told_apart(ids: dict[str, str], staff: Any) -> None:
    tens = [trained(staff, shift=number / 100).pk for number in range(10)]
    (chart,) = compare(load(tens)).charts
    looks = [(line["tone"], line["dashed"]) for line in chart.spec["panes"][0]["series"]]
    assert len(set(looks)) == 10
    assert len(chart.table.columns) == 11
    assert len(chart.table.rows) == 80


def test_equity_is_compared_as_growth_and_only_while_each_ran(ids: dict[str, str]) -> None:
    (chart,) = compare(load([ids["backtested"], ids["backtested_again"]])).charts
    first = chart.spec["panes"][0]["series"][0]["data"]
    equity = backtest_report()["series"]["equity"]
    assert chart.title == "Equity"
    assert first[-1][1] == pytest.approx(equity[-1] / 100_000, rel=1e-5)
    assert chart.table.rows[0][0] == "2010-01-04"
    assert chart.table.rows[-1][1] == first[-1][1]


def test_a_report_that_cannot_be_read_leaves_the_others_comparable(
    browser: Client, ids: dict[str, str]
) -> None:
    broken = Operation.objects.get(pk=ids["backtested_again"])
    broken.artifacts.filter(name="report.json").update(
        file=artifacts.put([b'{"series": {"time": [1], "equity": ["x"]}}'])
    )
    (chart,) = compare(load([ids["backtested"], broken.pk])).charts
    assert len(chart.spec["panes"][0]["series"]) == 1
    broken.artifacts.update(file=artifacts.put([b"not JSON"]))
    answer = browser.get(f"/dashboard/compare?operation={ids['backtested']}&operation={broken.pk}")
    assert answer.status_code == 200
    page = browser.get(f"/dashboard/operations/{broken.pk}?tab=report").content.decode()
    assert "report.json is not JSON." in page


def test_a_backtest_of_a_model_is_a_run_of_the_strategy_that_it_was_trained_by(staff: Any) -> None:
    model = trained(staff)
    best = operation(
        staff, "backtesting", "COMPLETED",
        parameters={"model": model.pk, "symbol": "GOOG"}, result={"metrics": {"total_return": 0.25}},
    )  # fmt: skip
    operation(staff, "backtesting", "COMPLETED", parameters={"model": "gone", "symbol": "GOOG"})
    (strategy,) = used()
    assert (strategy.name, strategy.runs, strategy.best_return) == ("momentum_daily", 2, 0.25)
    assert {run.pk for run in strategy.strip} == {model.pk, best.pk}
    assert {run.pk for run in runs_of(strategy.digest)} == {model.pk, best.pk}


def test_the_numbers_shown_are_those_of_the_result(browser: Client, ids: dict[str, str]) -> None:
    result = Operation.objects.get(pk=ids["backtested"]).result
    assert result is not None
    text = browser.get(f"/dashboard/operations/{ids['backtested']}").content.decode()
    assert f"{result['metrics']['total_return'] * 100:+.1f} %" in text
    assert f"{result['metrics']['sharpe']:.2f}" in text
    for warning in result["warnings"]:
        assert warning in text
