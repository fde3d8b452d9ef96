"""The result of a completed import, as far as the backend relies on it."""

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, ValidationError

from operations import lifecycle, market_data
from operations.actors import SYSTEM
from operations.kind import ResultUnusable
from operations.models import MarketData, Operation
from operations.states import Status
from worker_agent.protocol import Report
from worker_agent.validation_messages import first_problem

BARS, CHART = "bars.parquet", "chart.bin"


class ImportResult(BaseModel):
    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str = Field(min_length=1, max_length=8)
    rows: int = Field(ge=1)
    start: AwareDatetime
    end: AwareDatetime
    quality: dict[str, JsonValue] = Field(default_factory=dict)


def store(operation: Operation, report: Report) -> None:
    """Make the imported bars the current ones, unless a later import has ended before. Raises ResultUnusable."""
    try:
        result = ImportResult.model_validate(report.result or {})
    except ValidationError as error:
        raise ResultUnusable(f"result.{first_problem(error)}") from error
    requested = (operation.parameters.get("symbol"), operation.parameters.get("timeframe"))
    if (result.symbol, result.timeframe) != requested:
        raise ResultUnusable(
            f"it imported {result.symbol} {result.timeframe} instead of {' '.join(map(str, requested))}"
        )
    files = {artifact.name: artifact.sha256 for artifact in report.artifacts}
    if BARS not in files:
        raise ResultUnusable(f"the artifact {BARS} is missing")
    bars = market_data.Bars(
        symbol=result.symbol,
        timeframe=result.timeframe,
        sha256=files[BARS],
        chart_sha256=files.get(CHART),
        rows=result.rows,
        start=result.start,
        end=result.end,
        quality=dict(result.quality),
    )
    if not market_data.replace(bars, imported_by=operation):
        reason = f"an import of {bars.symbol} {bars.timeframe} that was submitted later has already ended; its bars stay"
        lifecycle.record(operation, "superseded", SYSTEM, reason, attempt=operation.attempt)


def find_replacement(operation: Operation) -> MarketData | None:
    """Return the bars that are current instead of those of a completed import."""
    parameters = operation.parameters
    rows = MarketData.objects.filter(
        symbol=parameters.get("symbol", ""), timeframe=parameters.get("timeframe", "")
    )
    return rows.exclude(imported_by=operation).first() if operation.status == Status.COMPLETED else None
