"""The page that compares any number of runs shows the figures of the API: curves, metrics and differences."""

import json
import math
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from operations import artifacts
from operations.models import Operation
from tests.factories import OperationFactory
from tests.operations.page_text import read, rows, shows

pytestmark = pytest.mark.django_db
TITLES = {"total_return": "Total return", "sharpe": "Sharpe", "trades": "Trades"}
"""In percent, as a number, and as a count."""
DAY_0 = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def create_backtests(count: int) -> list[str]:
    """Create backtests of different lengths, capital and figures; every third one has no Sharpe ratio."""
    chance = random.Random(count)
    return [create_backtest(number, chance).pk for number in range(count)]


def create_backtest(number: int, chance: random.Random) -> Operation:
    days = range(chance.randint(0, 5), chance.randint(20, 40))
    capital = chance.choice([1_000.0, 100_000.0])
    metrics = {
        "initial_capital": capital, "total_return": chance.uniform(-0.5, 0.5), "trades": chance.randint(1, 500),
        "sharpe": None if number % 3 == 2 else chance.uniform(-2, 2),
    }  # fmt: skip
    series = {
        "time": [(DAY_0 + timedelta(days=day)).isoformat() for day in days],
        "equity": [capital * chance.uniform(0.5, 2) for _ in days],
    }
    run = OperationFactory(
        operation_type="backtesting", status="COMPLETED", completed_at=DAY_0, result={"metrics": metrics}
    )
    stored = artifacts.put([json.dumps({"series": series, "trades": []}).encode()])
    run.artifacts.create(role="output", name="report.json", file=stored)
    return run


def get_json(browser: Client, address: str) -> Any:
    response = browser.get(f"/{address}", headers={"accept": "application/json"})
    assert response.status_code == 200
    return json.loads(response.getvalue())


@pytest.mark.parametrize("count", [2, 7, 40])
def test_curves_metrics_and_differences_equal_those_of_the_api(browser: Client, count: int) -> None:
    ids = create_backtests(count)
    random.Random(1).shuffle(ids)
    reference = count // 2
    query = {"operation": ids, "reference": ids[reference]}
    html = browser.get("/dashboard/compare", query).content.decode()
    results = [get_json(browser, f"operations/{pk}")["result"]["metrics"] for pk in ids]

    drawn = curves_of(html)
    assert len(drawn) == count
    for pk, metrics, points in zip(ids, results, drawn, strict=True):
        series = get_json(browser, f"operations/{pk}/artifacts/report.json")["series"]
        assert [moment for moment, _ in points] == [
            datetime.fromisoformat(time).timestamp() * 1000 for time in series["time"]
        ]
        for (_, growth), equity in zip(points, series["equity"], strict=True):
            assert math.isclose(growth, equity / metrics["initial_capital"], rel_tol=1e-5)

    (body,) = [part for part in read(html).all("section") if "Metrics" in part.text]
    shown = {row[0]: row[1:] for row in rows(body)}
    for name, title in TITLES.items():
        values = [metrics[name] for metrics in results]
        for text, value in zip(shown[title], values, strict=True):
            check_cell(text, value, values[reference])
        assert not differences(shown[title][reference])


def check_cell(text: str, value: float | None, reference: float | None) -> None:
    """Check value and difference of a cell."""
    if value is None:
        assert text == "–"
        return
    assert shows(text, value), (text, value)
    if reference is None or value == reference:
        assert not differences(text)
    else:
        (difference,) = differences(text)
        assert shows(difference, value - reference), (text, value - reference)


def differences(text: str) -> list[str]:
    """Return what follows the value and the mark of the best."""
    value = re.match(r"[+−-]?[\d\u202f]+(\.\d+)?( %)?( \(best\))?", text)
    rest = text[value.end() :].strip() if value else ""
    return [rest] if rest else []


def curves_of(html: str) -> list[list[Any]]:
    """Return the points of the equity curves in the order of the runs."""
    found = re.search(r'<script id="compare-equity" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    (pane,) = json.loads(found[1])["panes"]
    named = {int(line["name"].split(".")[0]): line["data"] for line in pane["series"]}
    return [named[position] for position in sorted(named)]
