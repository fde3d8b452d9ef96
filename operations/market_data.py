"""Bars of a symbol and timeframe: which there are, written by the imports that complete, removed when nothing needs them."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from pydantic import AwareDatetime, BaseModel, Field, JsonValue, ValidationError

from access import audit
from access.models import AuditEntry
from operations.actors import Actor
from operations.models import Artifact, MarketData, Operation
from operations.states import FINAL
from worker_agent.protocol import Report

OPERATION_TYPE = "data_import"
BARS = "bars.parquet"


class ImportUnusable(Exception):
    """A worker says that an import is complete, but not of what."""


class MarketDataInUse(Exception):
    """An operation that has not ended reads these bars."""


class Imported(BaseModel):
    """The result of an import, as far as the backend relies on it."""

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str = Field(min_length=1, max_length=8)
    rows: int = Field(ge=1)
    start: AwareDatetime
    end: AwareDatetime
    quality: dict[str, JsonValue] = Field(default_factory=dict)


def store(operation: Operation, report: Report) -> None:
    """Makes the bars of a completed import the current ones, in the transaction of its report.

    Does nothing for other types of operation. Raises ImportUnusable.
    """
    if operation.operation_type != OPERATION_TYPE:
        return
    try:
        imported = Imported.model_validate(report.result or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ImportUnusable(f"result.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    wanted = (operation.parameters.get("symbol"), operation.parameters.get("timeframe"))
    if (imported.symbol, imported.timeframe) != wanted:
        raise ImportUnusable(
            f"it imported {imported.symbol} {imported.timeframe} instead of {' '.join(map(str, wanted))}"
        )
    bars = next((ref for ref in report.artifacts if ref.name == BARS), None)
    if bars is None:
        raise ImportUnusable(f"there is no artifact {BARS}")
    MarketData.objects.update_or_create(
        symbol=imported.symbol,
        timeframe=imported.timeframe,
        defaults={
            "file_id": bars.sha256,
            "rows": imported.rows,
            "start": imported.start,
            "end": imported.end,
            "quality": imported.quality,
            "imported_by": operation,
            "imported_at": Now(),
        },
    )


def find(symbols: Iterable[str]) -> dict[str, dict[str, MarketData]]:
    """symbol -> timeframe -> its bars."""
    found: dict[str, dict[str, MarketData]] = {}
    for row in MarketData.objects.filter(symbol__in=list(symbols)):
        found.setdefault(row.symbol, {})[row.timeframe] = row
    return found


@transaction.atomic
def remove(symbol: str, timeframe: str, by: Actor) -> None:
    """Forgets these bars; results that used them keep their file. Raises MarketData.DoesNotExist, MarketDataInUse."""
    reads = Artifact.objects.filter(file=OuterRef("file"), role=Artifact.Role.INPUT).exclude(
        operation__status__in=FINAL
    )
    row = MarketData.objects.annotate(in_use=Exists(reads)).get(symbol=symbol, timeframe=timeframe)
    if row.in_use:
        raise MarketDataInUse(f"An operation that has not ended reads {symbol} {timeframe}.")
    row.delete()
    audit.record(AuditEntry.Act.MARKET_DATA_DELETED, f"{symbol} {timeframe}", by)
