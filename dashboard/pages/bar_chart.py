"""The chart of market data: the text of its page, and the data of its script."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.urls import reverse

from operations.models import MarketData
from operations.presentation import stored_charts
from operations.presentation.numbers import decimal, percent, short, signed_percent
from operations.presentation.report_charts import milliseconds
from operations.presentation.stored_reports import UNKNOWN_FORMAT

log = structlog.get_logger(__name__)
MAX_OTHERS = 200


@dataclass(frozen=True, slots=True)
class Bar:
    time: datetime
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Mark:
    """A gap or a suspicious bar, as listed beside the chart."""

    kind: str
    at: datetime
    text: str

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())


@dataclass(frozen=True, slots=True)
class BarChart:
    script: dict[str, Any]
    latest: list[Bar]
    """newest first"""
    facts: list[tuple[str, str]]
    marks: list[Mark]
    has_volume: bool
    summary: str


def bar_chart(data: MarketData) -> BarChart | None:
    """Return the chart of imported bars; None if they were imported before charts existed.

    Raises ChartUnavailableError.
    """
    if data.chart_id is None:
        return None
    stored = stored_charts.read(data.chart_id)
    try:
        return _described(data, stored)
    except UNKNOWN_FORMAT as error:
        log.warning(
            "chart has an unknown format",
            symbol=data.symbol,
            timeframe=data.timeframe,
            reason=repr(error)[:200],
        )
        raise stored_charts.ChartUnavailableError("The file of the chart is not valid.") from None


def _described(data: MarketData, stored: stored_charts.StoredChart) -> BarChart:
    index = stored.index
    decimals = index["decimals"]
    bars = [Bar(_time(row[0]), _cells(row, decimals)) for row in reversed(index["latest"])]
    return BarChart(
        script={**stored.for_script, "url": _url(data), "name": data.symbol},
        latest=bars,
        facts=_facts(index["statistics"], decimals),
        marks=_marks(index.get("listed") or {}),
        has_volume=bool(index["has_volume"]),
        summary=f"{data.symbol}, {data.timeframe} bars from {data.start:%Y-%m-%d} to {data.end:%Y-%m-%d}",
    )


def others(data: MarketData) -> list[MarketData]:
    """Return other series that have a chart, those of the same timeframe first."""
    rows = (
        MarketData.objects.filter(chart__isnull=False)
        .exclude(pk=data.pk)
        .only("symbol", "timeframe", "chart")
    )
    return sorted(rows[:MAX_OTHERS], key=lambda row: (row.timeframe != data.timeframe, row.symbol))


def overlay(data: MarketData, symbol: str, candidates: Iterable[MarketData]) -> dict[str, Any] | None:
    """Return the data that the script draws over the chart: `symbol` in the same timeframe; None if it has no chart.

    Raises ChartUnavailableError.
    """
    row = next((row for row in candidates if (row.symbol, row.timeframe) == (symbol, data.timeframe)), None)
    if row is None:
        return None
    return {**stored_charts.read(str(row.chart_id)).for_script, "url": _url(row), "name": row.symbol}


def _url(data: MarketData) -> str:
    return reverse("chart-of", args=[data.symbol, data.timeframe])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _cells(row: list[float], decimals: int) -> list[str]:
    return [*(decimal(value, decimals) for value in row[1:5]), *(short(value) for value in row[5:])]


def _facts(statistics: dict[str, Any], decimals: int) -> list[tuple[str, str]]:
    facts = [("Last close", decimal(statistics["last_close"], decimals))]
    for name, key in (("Highest", "highest"), ("Lowest", "lowest")):
        value, seconds = statistics[key]
        facts.append((name, f"{decimal(value, decimals)} on {_time(seconds):%Y-%m-%d}"))
    facts.append(("First to last close", signed_percent(statistics["change"])))
    facts.append(("Median range of a bar", percent(statistics["median_range"], 3)))
    if statistics["median_volume"]:
        facts.append(("Median volume", short(statistics["median_volume"])))
    facts.append(("Price decimals", str(decimals)))
    return facts


def _marks(listed: dict[str, Any]) -> list[Mark]:
    """List gaps, spikes and splits in the order of time."""
    marks = [
        Mark(
            "Gap",
            _moment(gap["before"]),
            f"{gap['bars']} bars missing after {_moment(gap['after']):%Y-%m-%d %H:%M}",
        )
        for gap in listed.get("gaps") or []
    ]
    marks += [
        Mark("Spike", _moment(spike["time"]), f"{signed_percent(spike['change'])} in one bar")
        for spike in listed.get("spikes") or []
    ]
    marks += [
        Mark("Suspected split", _moment(split["time"]), f"ratio {short(split['ratio'])}")
        for split in listed.get("suspected_splits") or []
    ]
    return sorted(marks, key=lambda mark: mark.at)


def _moment(text: str) -> datetime:
    return _time(milliseconds(text) / 1000)
