"""Pages show the same numbers as the API."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests.browser.population import populate
from tests.operations.page_text import Element, facts, read, rows, shows, table, tiles


@pytest.fixture
def ids(staff: Any) -> dict[str, str]:
    cache.clear()
    return populate(staff)


class Both:
    """Reads pages and the API as the same user."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def page(self, address: str) -> Element:
        response = self.client.get(f"/dashboard/{address}")
        assert response.status_code == 200
        return read(response.content.decode())

    def api(self, address: str) -> Any:
        response = self.client.get(f"/{address}", headers={"accept": "application/json"})
        assert response.status_code == 200
        return json.loads(response.getvalue())


@pytest.fixture
def both(client: Client, staff: Any) -> Both:
    client.force_login(staff)
    return Both(client)


def test_shows_detects_a_wrong_digit() -> None:
    assert shows("+39.4 %", 0.394)
    assert shows("−19.2 %", -0.192)
    assert shows("118\u202f400", 118_400)
    assert shows("0.41", 0.4149)
    assert not shows("+39.4 %", -0.394)
    assert not shows("39.4", 0.394)
    assert not shows("0.41", 0.416)
    assert not shows("–", 0.0)


def test_the_report_of_a_training(both: Both, ids: dict[str, str]) -> None:
    result = both.api(f"operations/{ids['trained']}")["result"]
    report = both.api(f"operations/{ids['trained']}/artifacts/report.json")
    page = both.page(f"operations/{ids['trained']}")
    tile_texts = tiles(page)
    assert tile_texts["Best epoch"] == (str(result["best_epoch"]), f"of {result['epochs']}")
    assert shows(tile_texts["Accuracy, test"][0], result["metrics"]["test"]["accuracy"])
    assert shows(tile_texts["Accuracy, test"][1], result["metrics"]["validation"]["accuracy"])
    assert shows(tile_texts["Loss, test"][0], result["metrics"]["test"]["loss"])
    assert shows(tile_texts["Parameters"][0], result["model"]["parameters_count"])
    assert shows(tile_texts["Trained in"][0], round(result["seconds"]))
    for name, *parts in table(page, "Scores"):
        key = name.lower()
        metrics = [
            result["rows"][part] if key == "rows" else result["metrics"][part][key]
            for part in ("train", "validation", "test")
        ]
        assert all(map(shows, parts, metrics)), name
    classes = table(page, "By class")
    assert [row[0] for row in classes] == [scores["class"] for scores in report["classes"]]
    for row, scores in zip(classes, report["classes"], strict=True):
        expected = [scores[key] for key in ("precision", "recall", "f1", "support")]
        assert all(map(shows, row[1:], expected)), row
    confusion = table(page, "Confusion")
    for (label, *cells), name, counts in zip(
        confusion, report["confusion_matrix"]["labels"], report["confusion_matrix"]["matrix"], strict=True
    ):
        assert label == name
        assert all(map(shows, cells, counts)), label


def test_the_report_of_a_backtest(both: Both, ids: dict[str, str]) -> None:
    result = both.api(f"operations/{ids['backtested']}")["result"]
    report = both.api(f"operations/{ids['backtested']}/artifacts/report.json")
    page = both.page(f"operations/{ids['backtested']}")
    metrics, benchmark = result["metrics"], result["benchmark"]
    tile_texts = tiles(page)
    for name, key in (
        ("Total return", "total_return"),
        ("CAGR", "cagr"),
        ("Sharpe", "sharpe"),
        ("Max drawdown", "max_drawdown"),
    ):
        assert shows(tile_texts[name][0], metrics[key]), name
        assert shows(tile_texts[name][1], benchmark[key]), name
    assert shows(tile_texts["Trades"][0], metrics["trades"])
    assert shows(tile_texts["Trades"][1], metrics["win_rate"])
    assert shows(tile_texts["Final equity"][0], metrics["final_equity"])
    assert shows(tile_texts["Final equity"][1], metrics["initial_capital"])
    all_metrics = facts(page)
    for name, key in (("Profit factor", "profit_factor"), ("PSR", "psr"), ("DSR", "dsr"), ("Fees", "fees")):
        assert shows(all_metrics[name], metrics[key]), name

    _check_returns(page, result, report)
    trades = table(page, "Trades")
    assert f"Trades {len(report['trades'])}" in [title.text for title in page.all("h2")]
    assert len(trades) == len(report["trades"])
    for row, trade in zip(trades, report["trades"], strict=True):
        assert row[2:4] == [trade["entry_time"][:10], trade["exit_time"][:10]]
        expected = [trade[key] for key in ("quantity", "entry_price", "exit_price", "pnl", "return")]
        assert all(map(shows, row[6:11], expected)), row
        assert all(map(shows, row[12:14], (trade["mae"], trade["mfe"]))), row
        assert shows(row[14].split(" (")[0], trade["fees"] + trade["slippage_cost"]), row


def _check_returns(page: Element, result: Any, report: Any) -> None:
    gross = {row[0]: row[1:] for row in table(page, "Before and after costs")}
    for name, key in (("Total return", "total_return"), ("CAGR", "cagr"), ("Sharpe", "sharpe")):
        assert shows(gross[name][0], result["gross"][key]), name
        assert shows(gross[name][1], result["metrics"][key]), name
    relations = table(page, "Alpha and beta")
    for row, figures in zip(relations, report["relations"], strict=True):
        keys = ("alpha", "beta", "correlation", "information_ratio", "tracking_error", "observations")
        assert row[0] == figures["name"]
        assert all(map(shows, row[1:], [figures[key] for key in keys])), row
    for heading, key in (("Best days", "best"), ("Worst days", "worst")):
        for row, figures in zip(table(page, heading), report["extremes"][key], strict=True):
            assert row[0] == figures["time"][:10]
            assert shows(row[1], figures["return"])
            assert row[2] == "–" if figures["benchmark"] is None else shows(row[2], figures["benchmark"])


FIELDS = "operation_id,operation_type,status,worker_id,progress,result"


def test_the_list_of_operations(both: Both, ids: dict[str, str]) -> None:
    operations = both.api(f"operations?limit=200&fields={FIELDS}")["results"]
    page = both.page("operations")
    listed = {row[1].split(" ")[-1]: row for row in rows(page)}
    assert len(listed) == len(operations)
    for operation in operations:
        row, result = listed[operation["operation_id"][:8]], operation["result"]
        match operation["operation_type"]:
            case "backtesting":
                assert shows(row[4].removeprefix("return"), result["metrics"]["total_return"])
            case "training" if result:
                assert shows(row[4], result["metrics"]["test"]["accuracy"])
            case "data_import":
                assert shows(row[4], result["rows"])
            case _:
                assert row[4] in ("", "cancelled")
        assert row[5] == (operation["worker_id"] or "")
        if operation["status"] == "RUNNING":
            assert shows(row[2], operation["progress"]["percentage"] / 100)
    tabs = {tab.text for tab in page.all("nav", "tabs")[0].all("a")}
    for name, status in (("Completed", "COMPLETED"), ("Failed", "FAILED"), ("Pending", "PENDING")):
        assert f"{name} {sum(operation['status'] == status for operation in operations)}" in tabs


def test_workers(both: Both, ids: dict[str, str]) -> None:
    listed = {row[0].split(" ")[0]: row for row in rows(both.page("workers"))}
    workers = both.api("workers?limit=200")["results"]
    assert listed.keys() == {worker["worker_id"] for worker in workers}
    assert sum(worker["completed"] for worker in workers) > 0
    assert sum(worker["failed"] for worker in workers) > 0
    for worker in workers:
        details = facts(both.page(f"workers/{worker['worker_id']}"))
        assert (details["Completed"], details["Failed"]) == (str(worker["completed"]), str(worker["failed"]))
        assert listed[worker["worker_id"]][6:8] == [details["Completed"], details["Failed"]]


def test_market_data(both: Both, ids: dict[str, str]) -> None:
    listed = {(row[0], row[1]): row for row in rows(both.page("market-data"))}
    for data in both.api("market-data?limit=200")["results"]:
        row = listed.pop((data["symbol"], data["timeframe"]))
        assert row[3:5] == [data["start"][:10], data["end"][:10]]
        assert shows(row[5], data["rows"])
        details = facts(both.page(f"market-data/{data['symbol']}/{data['timeframe']}"))
        assert shows(details["Bars"], data["rows"])
    assert not listed
