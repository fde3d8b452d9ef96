"""Coverage: which bars there are. A worker imports and checks them; here the result is taken over."""

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from operations.models import Artifact, MarketData, Operation
from worker_agent.protocol import Report

BARS = "bars.parquet"


class ImportResult(BaseModel):
    """What backends rely on in the result of a `data_import`."""

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str = Field(min_length=1, max_length=8)
    rows: int = Field(ge=1)
    start: AwareDatetime
    end: AwareDatetime
    quality: dict[str, object] = Field(default_factory=dict)


class InUse(Exception):
    """Operations that have not ended need these bars."""


def store(operation: Operation, report: Report) -> None:
    """Takes over what a completed `data_import` stored; part of the report's own transaction."""
    if operation.operation_type != "data_import":
        return
    try:
        result = ImportResult.model_validate(report.result)
    except ValidationError as error:
        raise BadResult(f"The import's result is not usable: {error.errors()[0]['msg']}") from error
    bars = operation.artifacts.filter(role=Artifact.Role.OUTPUT, name=BARS).select_related("file").first()
    if bars is None:
        raise BadResult(f"The import stored no {BARS}.")
    MarketData.objects.update_or_create(
        symbol=result.symbol,
        timeframe=result.timeframe,
        defaults={
            "file": bars.file,
            "rows": result.rows,
            "start": result.start,
            "end": result.end,
            "quality": result.quality,
            "imported_by": operation,
            "imported_at": Now(),
        },
    )


class BadResult(Exception):  # raised inside the report's transaction; the report is refused as invalid
    """A worker reported a completed import without what an import makes."""


@transaction.atomic
def remove(symbol: str, timeframe: str) -> None:
    """Removes the bars from the coverage; ended operations keep theirs. Raises MarketData.DoesNotExist, InUse."""
    row = MarketData.objects.select_for_update().get(symbol=symbol, timeframe=timeframe)
    users = Operation.objects.filter(
        completed_at__isnull=True, artifacts__file=row.file_id, artifacts__role=Artifact.Role.INPUT
    ).values_list("pk", flat=True)[:5]
    if users:
        raise InUse(f"Operations that have not ended need {symbol} {timeframe}: {', '.join(users)}.")
    row.delete()


def span(symbol: str, timeframe: str) -> tuple[datetime, datetime] | None:
    """Opens of the first and the last bar."""
    return MarketData.objects.filter(symbol=symbol, timeframe=timeframe).values_list("start", "end").first()
