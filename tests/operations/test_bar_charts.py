"""The page of market data shows its chart without reading bars, or the reason why there is none."""

import gzip
import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from operations import artifacts
from operations.models import MarketData, StoredFile
from operations.presentation.stored_charts import ChartUnavailableError
from operations.presentation.trades.chart import chart_script
from operations.stores.local_disk import path_of
from tests.browser.charts import market_data_chart
from tests.factories import OperationFactory
from tests.operations.page_text import read, table


def create_series(symbol: str, chart: StoredFile | None) -> MarketData:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    return MarketData.objects.create(
        symbol=symbol, timeframe="1m", file=artifacts.put([symbol.encode()]), chart=chart, rows=5970, start=moment, end=moment
    )  # fmt: skip


@pytest.fixture
def series(staff: Any, client: Client) -> MarketData:
    client.force_login(staff)
    chart = artifacts.put([market_data_chart()])
    create_series("BBB", chart)
    return create_series("AAA", chart)


def test_the_page_works_as_tables(client: Client, series: MarketData) -> None:
    page = client.get("/dashboard/market-data/AAA/1m")
    latest = table(read(page.content.decode()), "Latest bars")
    assert len(latest) == 50
    assert latest[0][:2] == ["2026-01-09 03:59", "299.05"]
    marks = table(read(page.content.decode()), "Gaps and suspicious bars")
    assert [row[1] for row in marks] == ["Spike", "Spike", "Gap"]
    assert marks[2][2] == "30 bars missing after 2026-01-07 18:39"


def test_the_script_gets_the_tiles_of_both_symbols(client: Client, series: MarketData) -> None:
    page = client.get("/dashboard/market-data/AAA/1m?with=BBB").content.decode()
    spec = json.loads(page.split('id="bars" type="application/json">')[1].split("</script>")[0])
    assert (spec["url"], spec["overlay"]["url"]) == tuple(
        f"/api/v1/market-data/{symbol}/1m/chart" for symbol in ("AAA", "BBB")
    )
    size = spec["levels"][0]["sizes"][0]
    tile = client.get(spec["url"], headers={"range": f"bytes={spec['start']}-{spec['start'] + size - 1}"})
    assert tile.status_code == 206
    assert tile.getvalue() == market_data_chart()[spec["start"] : spec["start"] + size]


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\xff\xff\x7fabc", b"\x03\x00\x00\x00abc"])
def test_a_file_that_is_not_a_chart_is_a_sentence(client: Client, series: MarketData, content: bytes) -> None:
    MarketData.objects.filter(pk=series.pk).update(chart=artifacts.put([content]))
    assert (
        "The file of the chart is not valid." in client.get("/dashboard/market-data/AAA/1m").content.decode()
    )


def chart_with(**changed: Any) -> bytes:
    content = market_data_chart()
    (length,) = struct.unpack("<I", content[:4])
    index = json.loads(gzip.decompress(content[4 : 4 + length])) | changed
    packed = gzip.compress(json.dumps(index).encode())
    return struct.pack("<I", len(packed)) + packed


@pytest.mark.parametrize(
    "changed",
    [
        {"latest": 5},
        {"latest": [[1e300, 1, 1, 1, 1]]},
        {"latest": [[0, 1, 1, 1, 1]] * 1001},
        {"decimals": 500_000_000},
        {"decimals": "2"},
        {"statistics": []},
        {"statistics": {"last_close": 1}},
        {"listed": {"gaps": [1]}},
        {"listed": {"spikes": [{"time": "yesterday"}]}},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_an_index_that_no_import_writes_is_a_sentence(
    client: Client, series: MarketData, changed: dict[str, Any]
) -> None:
    MarketData.objects.filter(pk=series.pk).update(chart=artifacts.put([chart_with(**changed)]))
    page = client.get("/dashboard/market-data/AAA/1m")
    assert "The file of the chart is not valid." in page.content.decode()


def test_a_deeply_nested_index_is_a_sentence(client: Client, series: MarketData) -> None:
    packed = gzip.compress(b"[" * 1_000_000)
    content = struct.pack("<I", len(packed)) + packed
    MarketData.objects.filter(pk=series.pk).update(chart=artifacts.put([content]))
    page = client.get("/dashboard/market-data/AAA/1m")
    assert "The file of the chart is not valid." in page.content.decode()


@pytest.mark.django_db
def test_the_threshold_of_a_backtest_must_be_a_number() -> None:
    file = artifacts.put([chart_with(predictions="forecast", threshold="high")])
    with pytest.raises(ChartUnavailableError, match="not valid"):
        chart_script(OperationFactory(), {"chart.bin": file})


def test_bars_without_a_chart_ask_for_another_import(client: Client, series: MarketData) -> None:
    MarketData.objects.filter(pk=series.pk).update(chart=None)
    page = client.get("/dashboard/market-data/AAA/1m").content.decode()
    assert "imported before charts existed" in page
    assert "lightweight-charts" not in page
    assert client.get("/market-data/AAA/1m/chart").status_code == 404


def test_a_chart_is_kept_while_its_bars_are(series: MarketData, settings: Any) -> None:
    settings.ARTIFACT_RETENTION_DAYS = 0
    chart = path_of(str(series.chart_id))
    artifacts.remove_unreferenced()
    assert chart.exists()
    MarketData.objects.all().delete()
    artifacts.remove_unreferenced()
    assert not chart.exists()
