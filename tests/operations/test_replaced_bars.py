"""An import that replaces bars names the results that used them, and those results state it."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from access.actors import Actor
from dashboard.pages.market_data import affected_by, affected_by_import
from operations import artifacts, market_data, replaced_bars
from operations.models import Artifact, MarketData, Operation
from operations.requests import DateRange
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db
SENTENCE = "have changed since. A new run would give other figures."


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def import_bars(content: bytes, symbol: str = "AAPL", timeframe: str = "1d") -> Operation:
    operation: Operation = OperationFactory(
        operation_type="data_import",
        status="COMPLETED",
        parameters={"symbol": symbol, "timeframe": timeframe},
        result={"rows": 3},
        completed_at=timezone.now(),
    )
    bars = market_data.Bars(
        symbol,
        timeframe,
        artifacts.put([content]).sha256,
        3,
        operation.created_at,
        operation.created_at,
        {},
    )
    market_data.replace(bars, operation)
    return operation


def run_on(*names: str, **fields: Any) -> Operation:
    """A run that has read the current bars of these series."""
    operation: Operation = OperationFactory(
        **{
            "operation_type": "training",
            "status": "COMPLETED",
            "parameters": {"symbols": ["AAPL"]},
            "result": {"x": 1},
            "completed_at": timezone.now(),
        }
        | fields
    )
    for name in names:
        symbol, timeframe = name.split(" ")
        Artifact.objects.create(
            operation=operation,
            role=Artifact.Role.INPUT,
            name=market_data.input_name(symbol, timeframe),
            file=MarketData.objects.get(symbol=symbol, timeframe=timeframe).file,
        )
    return operation


def test_the_name_of_an_input_is_that_of_submissions() -> None:
    import_bars(b"one")
    inputs = market_data.inputs_of(["AAPL"], ["1d"], "1d", DateRange(), "/symbol")
    assert list(inputs) == [market_data.input_name("AAPL", "1d")]


def test_results_of_replaced_bars_are_found_on_both_sides_of_an_import() -> None:
    import_bars(b"one")
    import_bars(b"other", "IBM")
    import_bars(b"week", timeframe="1w")
    used = run_on("AAPL 1d", "AAPL 1w")
    run_on("IBM 1d")
    run_on("AAPL 1d", status="CANCELLED")
    run_on("AAPL 1d", operation_type="strategy_preview")
    assert affected_by_import("AAPL", "1d").newest == [used]
    assert replaced_bars.bars_changed_since(used) == []
    same = import_bars(b"one")
    assert affected_by(same) == replaced_bars.Affected("AAPL", "1d", 0, [])
    replacing = import_bars(b"two")
    new = run_on("AAPL 1d")
    assert affected_by_import("AAPL", "1d").newest == [new]
    found = affected_by(replacing)
    assert found is not None
    assert found.newest == [used]
    assert [str(series) for series in replaced_bars.bars_changed_since(used)] == ["AAPL 1d"]
    assert replaced_bars.bars_changed_since(new) == []
    assert affected_by(used) is None


def test_bars_that_come_back_are_not_changed_and_deleted_ones_are_not_replaced(staff: Any) -> None:
    import_bars(b"one")
    used = run_on("AAPL 1d")
    import_bars(b"two")
    import_bars(b"one")
    assert replaced_bars.bars_changed_since(used) == []
    market_data.remove("AAPL", "1d", Actor.person(staff.username, staff.pk))
    assert replaced_bars.bars_changed_since(used) == []
    assert replaced_bars.results_of_former_bars("AAPL", "1d").count == 0


def test_the_newest_results_are_listed_and_the_others_counted(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    import_bars(b"one")
    for _ in range(replaced_bars.LISTED + 3):
        run_on("AAPL 1d")
    with django_assert_num_queries(2):
        affected = affected_by_import("AAPL", "1d")
    assert (affected.count, len(affected.newest), affected.more) == (
        replaced_bars.LISTED + 3,
        replaced_bars.LISTED,
        3,
    )


def test_pages_state_what_an_import_has_replaced(browser: Client) -> None:
    import_bars(b"one")
    used = run_on("AAPL 1d")
    page = browser.get(f"/dashboard/operations/{used.pk}").content.decode()
    assert SENTENCE not in page
    replacing = import_bars(b"two")
    page = " ".join(browser.get(f"/dashboard/operations/{used.pk}").content.decode().split())
    assert SENTENCE in page
    assert 'href="/dashboard/market-data/AAPL/1d"' in page
    page = " ".join(browser.get(f"/dashboard/operations/{replacing.pk}").content.decode().split())
    assert "1 result uses earlier bars of AAPL 1d." in page
    assert f'href="/dashboard/operations/{used.pk}"' in page
