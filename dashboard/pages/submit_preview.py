"""Data beside a submit form: available workers, market data, and the same request as code."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Q

from dashboard.pages.market_data import Span, coverage
from operations.models import MarketData
from operations.registered_kinds import kind_of
from registry.models import Worker, WorkerStatus
from workers.strategy.catalog import TIMEFRAMES


@dataclass(frozen=True, slots=True)
class WorkerAvailability:
    total: int
    idle: int
    gpus: int
    title: str
    """of the kind of operation"""

    @property
    def sentence(self) -> str:
        if not self.total:
            return f"No registered worker runs {self.title} operations: it will wait in the queue."
        noun = "worker" if self.total == 1 else "workers"
        gpus = f", {self.gpus} with a GPU" if self.gpus else ""
        ending = "it will start immediately." if self.idle else "it will wait in the queue."
        return f"{self.total} {noun}{gpus}, {self.idle} idle: {ending}"


def worker_availability(operation_type: str) -> WorkerAvailability:
    capable = Worker.objects.filter(announced__operation_type=operation_type)
    counts = capable.aggregate(
        total=Count("pk", distinct=True),
        idle=Count("pk", distinct=True, filter=Q(status=WorkerStatus.AVAILABLE, cordoned=False)),
        gpus=Count("pk", distinct=True, filter=Q(capabilities__gpu=True)),
    )
    return WorkerAvailability(**counts, title=kind_of(operation_type).title)


def symbols_with_bars() -> list[str]:
    return list(MarketData.objects.order_by("symbol").values_list("symbol", flat=True).distinct())


def suggestions() -> dict[str, list[tuple[str, str]]]:
    """Return (value, explanation) pairs by field name for any form: symbols with market data, and timeframes."""
    listed = [(symbol, "") for symbol in symbols_with_bars()]
    return {
        "symbol": listed,
        "reference": listed,
        "timeframe": [(timeframe, "") for timeframe in TIMEFRAMES],
    }


@dataclass(frozen=True, slots=True)
class Window:
    """The selected dates as shares of the time span of the data."""

    start: float
    end: float


def selected_coverage(symbols: list[str]) -> Span:
    """Return the coverage of the symbols, or of all market data if there are none."""
    data = MarketData.objects.select_related("file")
    return coverage(data.filter(symbol__in=symbols) if symbols else data)


def selected_window(span: Span, start: str, end: str) -> Window | None:
    """Locate the dates within the data. None without dates or for invalid ones, which the API reports."""
    if span.begins is None or span.ends is None or not (start or end):
        return None
    try:
        first = _share(span.begins, span.ends, date.fromisoformat(start)) if start else 0.0
        last = _share(span.begins, span.ends, date.fromisoformat(end)) if end else 1.0
    except ValueError:
        return None
    return Window(first, last)


@dataclass(frozen=True, slots=True)
class SeenPeriod:
    """The bars that the chosen model was trained on."""

    window: Window
    text: str
    is_tested: bool
    """whether the selected dates include some of them"""


def seen_window(
    span: Span, period: tuple[datetime, datetime] | None, start: str, end: str
) -> SeenPeriod | None:
    """Locate the bars that a model has seen within the data; None if they are not known."""
    if period is None or span.begins is None or span.ends is None:
        return None
    first, last = (moment.date() for moment in period)
    try:
        chosen_from = date.fromisoformat(start) if start else span.begins.date()
        chosen_to = date.fromisoformat(end) if end else span.ends.date()
    except ValueError:
        chosen_from = chosen_to = date.max
    window = Window(_share(span.begins, span.ends, first), _share(span.begins, span.ends, last))
    return SeenPeriod(window, f"{first} to {last}", chosen_from <= last and chosen_to >= first)


def _share(begins: datetime, ends: datetime, day: date) -> float:
    moment = datetime(day.year, day.month, day.day, tzinfo=begins.tzinfo)
    length = (ends - begins).total_seconds() or 1.0
    return min(max((moment - begins).total_seconds() / length, 0.0), 1.0)


def as_curl(address: str, body: dict[str, Any]) -> str:
    """Return a curl command for the request, with the token from the environment."""
    text = json.dumps(body, indent=2).replace("'", "'\\''")
    return (
        f'curl -sS {address} \\\n  -H "Authorization: Bearer $KTRDR_TOKEN" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  -d '{text}'"
    )


def as_python(address: str, body: dict[str, Any]) -> str:
    """Return Python code for the request, with httpx; it prints the id of the operation or the seed run."""
    key = "seed_run_id" if "seeds" in body else "operation_id"
    return (
        "import os\n\nimport httpx\n\n"
        f"body = {_literal(body)}\n"
        f'response = httpx.post(\n    "{address}",\n    json=body,\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'KTRDR_TOKEN\']}"},\n)\n'
        f'response.raise_for_status()\nprint(response.json()["{key}"])'
    )


def _literal(body: dict[str, Any]) -> str:
    lines = [f"    {key!r}: {value!r},".replace("'", '"', 2) for key, value in body.items()]
    return "\n".join(["{", *lines, "}"])
