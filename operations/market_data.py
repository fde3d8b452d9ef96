"""Bars by symbol and timeframe: which ones exist, which a run needs, and when they are replaced or removed."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from access.prepared import fetch_one
from access.problems import Invalid
from operations.models import Artifact, MarketData, Operation
from operations.requests import DateRange
from operations.states import FINAL


class MarketDataInUse(Exception):
    """An operation that has not ended reads these bars."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A stored file of bars."""

    symbol: str
    timeframe: str
    sha256: str
    rows: int
    start: datetime
    """open of the first bar"""
    end: datetime
    """open of the last bar"""
    quality: dict[str, Any]
    chart_sha256: str | None = None


_SUBMITTED = """(
    SELECT COALESCE(max(id), 0) FROM operations_event
    WHERE operation_id = {operation} AND to_status = 'PENDING' AND from_status IN ('', 'FAILED', 'CANCELLED')
)"""
"""Orders operations by their submission or their last retry by a person: ids of events do not depend on the clock."""

_REPLACE = f"""
    INSERT INTO operations_marketdata AS stored
        (symbol, timeframe, file_id, chart_id, rows, start, "end", quality, imported_by_id, imported_at)
    VALUES (%(symbol)s, %(timeframe)s, %(file)s, %(chart)s, %(rows)s, %(start)s, %(end)s, %(quality)s::jsonb,
            %(imported_by)s, statement_timestamp())
    ON CONFLICT (symbol, timeframe) DO UPDATE SET
        file_id = excluded.file_id, chart_id = excluded.chart_id, rows = excluded.rows, start = excluded.start,
        "end" = excluded."end", quality = excluded.quality, imported_by_id = excluded.imported_by_id,
        imported_at = excluded.imported_at
    WHERE {_SUBMITTED.format(operation="stored.imported_by_id")}
        <= {_SUBMITTED.format(operation="excluded.imported_by_id")}
    RETURNING id
"""  # noqa: S608  (constants)


def replace(bars: Bars, imported_by: Operation) -> bool:
    """Make these bars the current ones of their symbol and timeframe; return whether they are.

    Those of an import that was submitted later stay, in whatever order the two end.
    """
    parameters = {
        "symbol": bars.symbol,
        "timeframe": bars.timeframe,
        "file": bars.sha256,
        "chart": bars.chart_sha256,
        "rows": bars.rows,
        "start": bars.start,
        "end": bars.end,
        "quality": json.dumps(bars.quality),
        "imported_by": imported_by.pk,
    }
    return fetch_one(_REPLACE, parameters) is not None


def find(symbols: Iterable[str]) -> dict[str, dict[str, MarketData]]:
    """Return symbol -> timeframe -> its bars."""
    by_symbol: dict[str, dict[str, MarketData]] = {}
    for row in MarketData.objects.filter(symbol__in=list(symbols)):
        by_symbol.setdefault(row.symbol, {})[row.timeframe] = row
    return by_symbol


def inputs_of(
    symbols: Iterable[str], timeframes: Iterable[str], base: str, dates: DateRange, pointer: str
) -> dict[str, str]:
    """Return input name -> SHA-256 of the bars that a run over these symbols reads.

    The base timeframe must exist; a missing higher one is resampled from it. `pointer` is the field that names the
    symbols. Raises Invalid.
    """
    stored = find(symbols)
    errors: list[dict[str, str]] = []
    inputs: dict[str, str] = {}
    for position, symbol in enumerate(symbols):
        at = f"/symbols/{position}" if pointer == "/symbols" else pointer
        rows = stored.get(symbol, {})
        if base not in rows:
            errors.append({"pointer": at, "detail": explain_missing(symbol, base, rows)})
        else:
            errors += _errors_of_range(rows[base], dates)
            inputs |= {
                input_name(symbol, timeframe): rows[timeframe].file_id
                for timeframe in timeframes
                if timeframe in rows
            }
    if errors:
        raise Invalid(errors[0]["detail"], errors=errors)
    return inputs


def input_name(symbol: str, timeframe: str) -> str:
    """Return the name that these bars have as an input of an operation."""
    return f"bars/{symbol}/{timeframe}.parquet"


def explain_missing(symbol: str, timeframe: str, stored: Collection[str]) -> str:
    """Return the sentence about bars that do not exist; `stored` are the timeframes that the symbol has."""
    if not stored:
        return f"No market data for {symbol}."
    return f"{symbol} has bars of {', '.join(sorted(stored))}, but not of {timeframe}."


def _errors_of_range(bars: MarketData, dates: DateRange) -> list[dict[str, str]]:
    first, last = bars.start.date(), bars.end.date()
    if dates.start_date and dates.start_date > last:
        return [_no_bars("/start_date", bars, first, last)]
    if dates.end_date and dates.end_date < first:
        return [_no_bars("/end_date", bars, first, last)]
    return []


def _no_bars(pointer: str, bars: MarketData, first: date, last: date) -> dict[str, str]:
    return {
        "pointer": pointer,
        "detail": f"The bars of {bars.symbol} {bars.timeframe} run from {first} to {last}: none are in this range.",
    }


@transaction.atomic
def remove(symbol: str, timeframe: str, by: Actor) -> None:
    """Delete these bars; results that used them keep their file. Raises MarketData.DoesNotExist, MarketDataInUse."""
    reads = Artifact.objects.filter(file=OuterRef("file"), role=Artifact.Role.INPUT).exclude(
        operation__status__in=FINAL
    )
    row = MarketData.objects.annotate(in_use=Exists(reads)).get(symbol=symbol, timeframe=timeframe)
    if row.in_use:
        raise MarketDataInUse(f"An operation that has not ended reads {symbol} {timeframe}.")
    row.delete()
    audit.record(AuditEntry.Act.MARKET_DATA_DELETED, f"{symbol} {timeframe}", by)
