"""Pages: a fixed number of queries for any number of rows, and no error for any address."""

from typing import Any

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from dashboard.pages.comparison import compare, load
from dashboard.pages.strategies import list_strategies, runs_of
from operations import artifacts
from operations.models import Operation
from operations.states import Status
from tests.browser.population import populate
from tests.browser.reports import backtest_report
from tests.browser.sample_operations import STRATEGY, create_operation, create_training

EVERY_PAGE = 3
"""queries of every page: the session, its user, and the pause of dispatching"""


@pytest.fixture
def ids(staff: Any) -> dict[str, str]:
    cache.clear()
    return populate(staff)


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


QUERIES = {
    "": 18,
    "operations": 5,
    "operations?status=FAILED": 4,
    "operations/{running}": 8,
    "operations/{trained}?tab=metrics": 2,
    "operations/{trained}": 10,
    "operations/{backtested}": 10,
    "operations/{backtested}/trades?sort=-pnl": 2,
    "operations/{running}?tab=log": 4,
    "operations/{trained}?tab=parameters": 1,
    "operations/{trained}?tab=events": 2,
    "operations/{trained}?tab=artifacts": 2,
    "schedules": 1,
    "schedules/new?operation={trained}": 1,
    "schedules/{schedule}": 3,
    "seed-runs": 1,
    "seed-runs/new?operation={trained}": 1,
    "seed-runs/{seed_run}": 2,
    "runs": 4,
    "tags": 1,
    "workers": 7,
    "workers/training-01": 6,
    "market-data": 2,
    "market-data/AAPL/1d": 2,
    "strategies": 8,
    "strategies/{strategy}": 4,
    "compare?operation={trained}&operation={trained_again}": 2,
    "compare?operation={backtested}&operation={backtested_again}": 3,
}


@pytest.mark.parametrize("address", QUERIES)
def test_the_number_of_queries_does_not_grow_with_the_number_of_rows(
    browser: Client,
    ids: dict[str, str],
    staff: Any,
    address: str,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        create_operation(staff, "training", "COMPLETED", worker_id=f"training-{number:02}", hours=1 + number)
    full = f"/dashboard/{address.format(**ids, strategy=list_strategies()[0].digest)}"
    with django_assert_num_queries(QUERIES[address] + EVERY_PAGE, info=address):
        response = browser.get(full)
    assert response.status_code == 200


def test_pages_require_a_signed_in_user(client: Client, ids: dict[str, str]) -> None:
    for address in ("", "operations", f"operations/{ids['running']}", "workers", "market-data", "strategies"):
        response = client.get(f"/dashboard/{address}")
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/dashboard/login?next=")


@pytest.mark.parametrize(
    "address",
    [
        "operations/unknown",
        "operations/%00",
        "operations/unknown/log?after=0",
        "operations/{running}/log?after=many",
        "operations/{running}?tab=none",
        "schedules/unknown",
        "schedules/new?operation=unknown",
        "seed-runs/unknown",
        "seed-runs/new?operation={backtested}",
        "workers/unknown",
        "workers/%00",
        "market-data/AAPL/3w",
        "market-data/%00/1d",
        "strategies/0123",
    ],
)
def test_an_unknown_address_is_not_found(browser: Client, ids: dict[str, str], address: str) -> None:
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
def test_the_list_accepts_any_query_string(browser: Client, ids: dict[str, str], query: str) -> None:
    assert browser.get(f"/dashboard/operations?{query}").status_code == 200


def test_the_list_searches_by_id_symbol_and_strategy(browser: Client, ids: dict[str, str]) -> None:
    for search, role in ((ids["failed"], "failed"), ("GOOG", "backtested"), ("momentum", "trained")):
        page = browser.get("/dashboard/operations", {"search": search}).content.decode()
        assert f"/dashboard/operations/{ids[role]}" in page


def test_text_from_users_and_workers_is_escaped(browser: Client, staff: Any) -> None:
    hostile = "<script>alert(1)</script>"
    row = create_operation(
        staff,
        "training",
        "FAILED",
        worker_id="w",
        error_class="job",
        error_message=hostile,
        parameters={"symbol": hostile},
    )
    for tab in ("summary", "parameters", "events"):
        assert hostile not in browser.get(f"/dashboard/operations/{row.pk}?tab={tab}").content.decode()


def test_the_live_part_is_sent_only_if_it_changed(browser: Client, ids: dict[str, str]) -> None:
    address = f"/dashboard/operations/{ids['running']}/live"
    first = browser.get(address)
    unchanged = browser.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, unchanged.status_code) == (200, 304)

    Operation.objects.filter(pk=ids["running"]).update(progress={"percentage": 44})
    changed = browser.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "44 %" in changed.content.decode()


def test_a_running_training_shows_its_curve_and_its_progress_once(
    browser: Client, ids: dict[str, str]
) -> None:
    page = browser.get(f"/dashboard/operations/{ids['running']}").content.decode()
    assert 'data-chart="metric-loss"' in page
    assert 'id="metrics-data"' in page
    assert page.count("43 of 100") == 1
    row = Operation.objects.get(pk=ids["running"])
    row.progress = {**row.progress, "current_step": "training"}
    row.save(update_fields=["progress"])
    assert "43 of 100 ·" in browser.get(f"/dashboard/operations/{ids['running']}").content.decode()


def test_the_table_of_attempts_is_replaced_with_the_live_part(browser: Client, ids: dict[str, str]) -> None:
    row = Operation.objects.get(pk=ids["running"])
    row.attempts.update(ended_at=Now(), outcome="lost", error="worker gone")
    address = f"/dashboard/operations/{row.pk}/live"
    part = browser.get(address).content.decode()
    assert '<div id="attempts" hx-swap-oob="true">' in part
    assert "worker gone" in part
    assert "attempts" not in browser.get(f"{address}?tab=log").content.decode()


def test_the_live_part_of_an_ended_operation_stops_polling(browser: Client, ids: dict[str, str]) -> None:
    response = browser.get(f"/dashboard/operations/{ids['trained']}/live?tab=log")
    text = response.content.decode()
    assert "hx-get" not in text
    assert "Finished." in text
    assert "HX-Refresh" not in response.headers


def test_the_summary_reloads_when_the_operation_ends(browser: Client, ids: dict[str, str]) -> None:
    responses = [browser.get(f"/dashboard/operations/{ids[name]}/live") for name in ("running", "trained")]
    assert [response.headers.get("HX-Refresh") for response in responses] == [None, "true"]


def test_the_log_continues_after_the_last_line(browser: Client, ids: dict[str, str]) -> None:
    row = Operation.objects.get(pk=ids["running"])
    newest = row.log_lines.order_by("-pk")[0]
    address = f"/dashboard/operations/{row.pk}/log"
    assert browser.get(address, {"after": newest.pk}).status_code == 204
    text = browser.get(address, {"after": newest.pk - 2}).content.decode()
    assert text.count('class="log-line') == 2


def test_each_line_of_the_log_has_the_number_of_its_attempt(browser: Client, ids: dict[str, str]) -> None:
    row = Operation.objects.get(pk=ids["running"])
    line = row.log_lines.order_by("-pk")[0]
    row.log_lines.filter(pk=line.pk).update(attempt=3)
    page = browser.get(f"/dashboard/operations/{row.pk}?tab=log").content.decode()
    assert f'aria-label="Link to line {line.seq} of attempt 3">3.{line.seq}</a>' in page


def test_the_log_is_filtered_by_level_and_text(browser: Client, ids: dict[str, str]) -> None:
    address = f"/dashboard/operations/{ids['running']}?tab=log"
    assert browser.get(f"{address}&level=warning").content.decode().count('class="log-line') == 120 // 23
    assert browser.get(f"{address}&find=epoch 77:").content.decode().count('class="log-line') == 1


def test_a_comparison_marks_the_best_value_and_lists_differences(
    browser: Client, ids: dict[str, str]
) -> None:
    comparison = compare(load([ids["trained_again"], ids["trained"]]))
    loss = next(row for row in comparison.metrics if row.name == "test.loss")
    assert loss.best == {1}
    assert comparison.different == []
    assert browser.get("/dashboard/compare", {"operation": ids["trained"]}).status_code == 200


def test_equal_best_values_are_all_marked(ids: dict[str, str]) -> None:
    Operation.objects.filter(pk=ids["trained"]).update(result={"metrics": {"test": {"loss": 0.5}}})
    three = [ids["trained"], ids["trained_again"], ids["backtested"]]
    Operation.objects.filter(pk=ids["backtested"]).update(result={"metrics": {"test": {"loss": 0.5}}})
    (loss,) = [row for row in compare(load(three)).metrics if row.name == "test.loss"]
    assert loss.best == {0, 2}


def test_metrics_are_compared_in_their_own_units_with_the_return_first(ids: dict[str, str]) -> None:
    metrics = compare(load([ids["backtested"], ids["backtested_again"]])).metrics
    assert [row.title for row in metrics[:3]] == ["Total return", "CAGR", "Volatility"]
    assert (metrics[0].texts, metrics[0].best) == (["39.4 %", "4.4 %"], {0})
    first = compare(load([ids["trained"], ids["trained_again"]])).metrics[0]
    assert (first.title, first.texts) == ("Accuracy, test", ["56.3 %", "52.3 %"])


def test_strategies_are_compared_value_by_value(ids: dict[str, str], staff: Any) -> None:
    longer = create_operation(
        staff,
        "training",
        "COMPLETED",
        parameters={"strategy_yaml": STRATEGY.replace("period: 14", "period: 21")},
    )
    comparison = compare(load([ids["trained"], longer.pk]))
    differing = {row.name: row.values for row in comparison.different}
    assert differing["strategy.indicators.rsi_14.period"] == [14, 21]
    assert differing["seed"] == [42, None]
    assert "strategy.indicators.rsi_14.type" in {row.name for row in comparison.same}


def test_the_curves_of_ten_operations_look_different(ids: dict[str, str], staff: Any) -> None:
    ten = [create_training(staff, shift=number / 100).pk for number in range(10)]
    (chart,) = compare(load(ten)).charts
    looks = [(line["tone"], line["dashed"]) for line in chart.spec["panes"][0]["series"]]
    assert len(set(looks)) == 10
    assert len(chart.table.columns) == 11
    assert len(chart.table.rows) == 80


def test_equity_is_compared_as_growth_within_the_period_of_each_backtest(ids: dict[str, str]) -> None:
    (chart,) = compare(load([ids["backtested"], ids["backtested_again"]])).charts
    first = chart.spec["panes"][0]["series"][0]["data"]
    equity = backtest_report()["series"]["equity"]
    assert chart.title == "Equity"
    assert first[-1][1] == pytest.approx(equity[-1] / 100_000, rel=1e-5)
    assert chart.table.rows[0][0] == "2010-01-04"
    assert chart.table.rows[-1][1] == first[-1][1]


def test_backtests_of_different_engine_semantics_are_compared_with_a_warning(
    browser: Client, ids: dict[str, str]
) -> None:
    pair = [ids["backtested"], ids["backtested_again"]]
    assert compare(load(pair)).warnings == []
    assert compare(load([ids["trained"], ids["trained_again"]])).warnings == []
    old = Operation.objects.get(pk=pair[1])
    for settings in ({"engine_semantics": 1}, {}):
        old.result = {**(old.result or {}), "settings": settings}
        old.save(update_fields=["result"])
        (warning,) = compare(load([ids["trained"], *pair])).warnings
        assert "different engine semantics: 1 (3.) and 2 (2.)" in warning
        page = browser.get("/dashboard/compare", {"operation": pair}).content.decode()
        assert "different engine semantics: 1 (2.) and 2 (1.)" in page
        report = browser.get(f"/dashboard/operations/{old.pk}").content.decode()
        assert "Engine semantics 1: spread and slippage were cut" in report


def test_a_backtest_shows_its_basis_and_its_debt(browser: Client, ids: dict[str, str]) -> None:
    row = Operation.objects.get(pk=ids["backtested"])
    result: Any = row.result
    row.result = {**result, "metrics": {**result["metrics"], "final_equity": -2000.0, "debt": 2000.0}}
    row.save(update_fields=["result"])
    page = browser.get(f"/dashboard/operations/{row.pk}").content.decode()
    assert "Annual figures: 803 daily observations, 252 a year (sessions of XNYS)" in page
    assert "a debt of 2" in page
    assert "notional traded / mean equity, whole period" in page
    assert "Last 63 daily observations, annual" in page


def test_an_unreadable_report_does_not_prevent_the_comparison(browser: Client, ids: dict[str, str]) -> None:
    broken = Operation.objects.get(pk=ids["backtested_again"])
    broken.artifacts.filter(name="report.json").update(
        file=artifacts.put([b'{"series": {"time": [1], "equity": ["x"]}}'])
    )
    (chart,) = compare(load([ids["backtested"], broken.pk])).charts
    assert len(chart.spec["panes"][0]["series"]) == 1
    broken.artifacts.update(file=artifacts.put([b"not JSON"]))
    response = browser.get(f"/dashboard/compare?operation={ids['backtested']}&operation={broken.pk}")
    assert response.status_code == 200
    page = browser.get(f"/dashboard/operations/{broken.pk}").content.decode()
    assert "report.json is not valid JSON." in page
    broken.artifacts.update(file=artifacts.put([b"[" * 100_000]))
    page = browser.get(f"/dashboard/operations/{broken.pk}").content.decode()
    assert "report.json is not valid JSON." in page


def test_a_report_whose_columns_have_different_lengths_is_a_sentence(
    browser: Client, ids: dict[str, str]
) -> None:
    broken = Operation.objects.get(pk=ids["backtested_again"])
    report = artifacts.put([b'{"series": {"time": [1, 2], "equity": [1.0]}}'])
    broken.artifacts.filter(name="report.json").update(file=report)
    page = browser.get(f"/dashboard/operations/{broken.pk}").content.decode()
    assert "It has an unknown format (IndexError" in page


def test_a_backtest_counts_as_a_run_of_the_strategy_that_its_model_was_trained_with(staff: Any) -> None:
    model = create_training(staff)
    best = create_operation(
        staff, "backtesting", "COMPLETED",
        parameters={"model": model.pk, "symbol": "GOOG"}, result={"metrics": {"total_return": 0.25}},
    )  # fmt: skip
    create_operation(staff, "backtesting", "COMPLETED", parameters={"model": "gone", "symbol": "GOOG"})
    (strategy,) = list_strategies()
    assert (strategy.name, strategy.runs, strategy.best_return) == ("momentum_daily", 2, 0.25)
    assert {run.pk for run in strategy.strip} == {model.pk, best.pk}
    assert {run.pk for run in runs_of(strategy.digest)} == {model.pk, best.pk}


@pytest.mark.parametrize("operation_type", ["training", "backtesting", "data_import", "unknown-type"])
@pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAILED])
def test_the_result_of_a_stopped_operation_is_shown_as_what_it_is(
    browser: Client, staff: Any, operation_type: str, status: Status
) -> None:
    result = {"stopped": "cancelled", "epochs": 7}
    row = create_operation(staff, operation_type, status, result=result, error_class="job", error_message="x")
    page = browser.get(f"/dashboard/operations/{row.pk}").content.decode()
    assert "Result so far" in page
    assert "Trained model" not in page
    assert "Best epoch" not in page
    assert "<dt>epochs</dt>" in page.lower()


def test_the_page_shows_the_numbers_of_the_result(browser: Client, ids: dict[str, str]) -> None:
    result = Operation.objects.get(pk=ids["backtested"]).result
    assert result is not None
    text = browser.get(f"/dashboard/operations/{ids['backtested']}").content.decode()
    assert f"{result['metrics']['total_return'] * 100:+.1f} %" in text
    assert f"{result['metrics']['sharpe']:.2f}" in text
    for warning in result["warnings"]:
        assert warning in text
