"""What people may ask for, checked at the edge; after this it is trusted."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from worker_agent.protocol import Identifier
from workers.strategy.catalog import TIMEFRAMES

Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9^][A-Za-z0-9^=_.-]{0,63}$")]


def _known(timeframe: str) -> str:
    if timeframe not in TIMEFRAMES:
        raise ValueError(f"{timeframe!r} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return timeframe


Timeframe = Annotated[str, AfterValidator(_known)]
StrategyText = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"^[^\x00]*$")]
Share = Annotated[float, Field(ge=0, lt=1)]
SMALLEST, LARGEST = -32_768, 32_767


class Queueing(BaseModel):
    """How it waits: common to everything that can be asked for."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    priority: int = Field(default=0, ge=SMALLEST, le=LARGEST)
    queue: bool = True
    after: tuple[Identifier, ...] = Field(default=(), max_length=100)
    requirements: dict[Identifier, bool | int | float | str] = Field(default_factory=dict, max_length=20)


class Dates(BaseModel):
    start_date: date | None = None
    end_date: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Dates":
        if self.start_date and self.end_date and self.start_date > self.end_date:
            raise ValueError("start_date is after end_date")
        return self


class TrainingRequest(Queueing, Dates):
    strategy_yaml: StrategyText
    symbols: tuple[Symbol, ...] | None = Field(default=None, min_length=1, max_length=1000)
    timeframes: tuple[Timeframe, ...] | None = Field(default=None, min_length=1, max_length=20)
    seed: int = Field(default=42, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    prefer_gpu: bool = True


class BacktestRequest(Queueing, Dates):
    model: Identifier | None = None
    strategy_yaml: StrategyText | None = None
    symbol: Symbol
    timeframe: Timeframe | None = None
    initial_capital: float = Field(default=100_000, gt=0)
    commission: Share = 0.001
    slippage: Share = 0.0005
    spread: Share | None = None
    fill: Literal["next_open", "next_close", "same_close"] = "next_open"
    sizing: Literal["fraction", "units"] = "fraction"
    size: float = Field(default=1.0, gt=0)
    allow_short: bool | None = None
    stop_loss: Annotated[float, Field(gt=0, lt=1)] | None = None
    take_profit: Annotated[float, Field(gt=0)] | None = None
    trailing_stop: Annotated[float, Field(gt=0, lt=1)] | None = None


class ImportRequest(BaseModel):
    """The fields beside the file of a multipart form."""

    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    timeframe: Timeframe
    adjust: bool = False
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] | None = None
    priority: int = Field(default=0, ge=SMALLEST, le=LARGEST)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        """A form sends every field, also those that were left empty."""
        return (
            {name: value for name, value in data.items() if value != ""} if isinstance(data, dict) else data
        )


class GenericRequest(Queueing):
    operation_type: Identifier
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    prefer_gpu: bool = False
