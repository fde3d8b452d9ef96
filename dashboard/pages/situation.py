"""What a submit form says besides its fields: is there a worker, is there data, how would a program send the same."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Q

from dashboard.pages.market_data import Span, coverage
from operations.models import MarketData
from registry.models import Worker, WorkerStatus
from workers.strategy.catalog import TIMEFRAMES


@dataclass(frozen=True, slots=True)
class WorkerSituation:
    total: int
    idle: int
    gpus: int
    operation_type: str

    @property
    def sentence(self) -> str:
        if not self.total:
            return f"No worker that can do {self.operation_type} is registered: it will wait in the queue."
        noun = "worker" if self.total == 1 else "workers"
        gpus = f", {self.gpus} with a GPU" if self.gpus else ""
        ending = "it will start at once." if self.idle else "it will wait in the queue."
        return f"{self.total} {noun}{gpus}, {self.idle} idle: {ending}"


def worker_situation(operation_type: str) -> WorkerSituation:
    able = Worker.objects.filter(announced__operation_type=operation_type)
    counts = able.aggregate(
        total=Count("pk", distinct=True),
        idle=Count("pk", distinct=True, filter=Q(status=WorkerStatus.AVAILABLE, cordoned=False)),
        gpus=Count("pk", distinct=True, filter=Q(capabilities__gpu=True)),
    )
    return WorkerSituation(**counts, operation_type=operation_type)


def suggestions() -> dict[str, list[tuple[str, str]]]:
    """Field name -> (value, explanation) pairs that fit any form: symbols with market data, and timeframes."""
    symbols = MarketData.objects.order_by("symbol").values_list("symbol", flat=True).distinct()
    return {
        "symbol": [(symbol, "") for symbol in symbols],
        "timeframe": [(timeframe, "") for timeframe in TIMEFRAMES],
    }


@dataclass(frozen=True, slots=True)
class Window:
    """The chosen dates as shares of the span of the data drawn beside them."""

    start: float
    end: float


def chosen_data(symbols: list[str]) -> Span:
    """Coverage of the symbols, of all there is where none is chosen."""
    data = MarketData.objects.select_related("file")
    return coverage(data.filter(symbol__in=symbols) if symbols else data)


def window(span: Span, start: str, end: str) -> Window | None:
    """None where nothing is chosen or the text is no date; the model says what is wrong with it."""
    if span.begins is None or span.ends is None or not (start or end):
        return None
    try:
        first = _share(span.begins, span.ends, date.fromisoformat(start)) if start else 0.0
        last = _share(span.begins, span.ends, date.fromisoformat(end)) if end else 1.0
    except ValueError:
        return None
    return Window(first, last)


def _share(begins: datetime, ends: datetime, day: date) -> float:
    moment = datetime(day.year, day.month, day.day, tzinfo=begins.tzinfo)
    whole = (ends - begins).total_seconds() or 1.0
    return min(max((moment - begins).total_seconds() / whole, 0.0), 1.0)


def as_curl(address: str, body: dict[str, Any]) -> str:
    """A shell command that submits the same; the token comes from the environment."""
    text = json.dumps(body, indent=2).replace("'", "'\\''")
    return (
        f'curl -sS {address} \\\n  -H "Authorization: Bearer $KTRDR_TOKEN" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  -d '{text}'"
    )


def as_python(address: str, body: dict[str, Any]) -> str:
    """The same with the standard library and httpx."""
    return (
        "import os\n\nimport httpx\n\n"
        f"body = {_literal(body)}\n"
        f'answer = httpx.post(\n    "{address}",\n    json=body,\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'KTRDR_TOKEN\']}"},\n)\n'
        'answer.raise_for_status()\nprint(answer.json()["operation_id"])'
    )


def _literal(body: dict[str, Any]) -> str:
    lines = [f"    {key!r}: {value!r},".replace("'", '"', 2) for key, value in body.items()]
    return "\n".join(["{", *lines, "}"])
