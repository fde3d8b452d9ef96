"""Request models, validated at the edge and trusted afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from worker_agent.protocol import Identifier, Name
from worker_agent.validation_messages import quote
from worker_agent.values import require_storable
from workers.strategy.catalog import TIMEFRAMES

Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9^][A-Za-z0-9^=_.-]{0,63}$")]


def _validate_timeframe(timeframe: str) -> str:
    if timeframe not in TIMEFRAMES:
        raise ValueError(f"{quote(timeframe)} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return timeframe


Timeframe = Annotated[
    str,
    AfterValidator(_validate_timeframe),
    WithJsonSchema({"type": "string", "enum": list(TIMEFRAMES)}),
]
StrategyText = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"^[^\x00]*$")]
SMALLEST, LARGEST = -32_768, 32_767
LONGEST_S = 366 * 86_400
TimeLimit = Annotated[int, Field(ge=1, le=LONGEST_S)]
"""Seconds."""


Requirement = bool | int | float | Annotated[str, StringConstraints(max_length=200)]


class Queueing(BaseModel):
    """The fields that all requests share: how the operation waits for a worker."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    priority: int = Field(default=0, ge=SMALLEST, le=LARGEST)
    queue: bool = True
    after: tuple[Identifier, ...] = Field(default=(), max_length=100)
    timeout_s: TimeLimit | None = None
    """An attempt that runs longer is stopped, and the operation fails. None: the setting for its type."""
    expires_after_s: TimeLimit | None = None
    """If it has not started by then, the operation fails. None: the setting for its type."""
    requirements: Annotated[dict[Identifier, Requirement], AfterValidator(require_storable)] = Field(
        default_factory=dict, max_length=20
    )


class DateRange(BaseModel):
    start_date: date | None = None
    end_date: date | None = None

    def dates(self) -> dict[str, str]:
        """Return the given dates as parameters of an operation."""
        return self.model_dump(mode="json", include=set(DateRange.model_fields), exclude_none=True)

    @model_validator(mode="after")
    def _in_order(self) -> "DateRange":
        if self.start_date and self.end_date and self.start_date > self.end_date:
            raise ValueError("start_date is after end_date")
        return self


class Source(BaseModel):
    """Where an input comes from: bars by `symbol` and `timeframe`, the `artifact` of an `operation`, or an `upload`."""

    model_config = ConfigDict(extra="forbid")

    symbol: Symbol | None = None
    timeframe: Timeframe | None = None
    operation: Identifier | None = None
    artifact: Name | None = None
    upload: Identifier | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Source":
        given = self.model_fields_set
        if (
            given not in ({"symbol", "timeframe"}, {"operation", "artifact"}, {"upload"})
            or None in self.model_dump(include=given).values()
        ):
            raise ValueError("an input needs symbol and timeframe, operation and artifact, or upload")
        return self


class GenericRequest(Queueing):
    operation_type: Identifier
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[Name, Source] = Field(default_factory=dict, max_length=100)
    """Name in `job.inputs` -> where the file comes from."""
    prefer_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """An operation to store: everything that is sent to a worker, and how it waits for one."""

    operation_type: str
    parameters: dict[str, Any]
    queueing: Queueing = field(default_factory=Queueing)
    prefer_gpu: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)
    """name -> SHA-256 of a stored file"""
    awaited_inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """name -> (operation in `after`, the artifact that it will produce)"""
