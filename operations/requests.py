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
    ValidationInfo,
    field_validator,
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
Share = Annotated[float, Field(ge=0, le=0.5)]
Distance = Annotated[float, Field(gt=0, le=100)]
Quantity = Annotated[float, Field(ge=0, le=1e12)]
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
    initial_capital: float = Field(default=100_000, gt=0, le=1e15)
    commission: Share = 0.001
    slippage: Share = 0.0005
    spread: Share | None = None
    fill: Literal["next_open", "next_close", "same_close"] = "next_open"
    sizing: Literal["fraction", "units"] = "fraction"
    size: float = Field(default=1.0, gt=0, le=1e12)
    allow_short: bool | None = None
    stop_unit: Literal["fraction", "atr"] = "fraction"
    atr_period: int = Field(default=14, ge=1, le=5000)
    stop_loss: Distance | None = None
    take_profit: Distance | None = None
    trailing_stop: Distance | None = None
    quantity_step: Quantity = 0
    minimum_quantity: Quantity = 0
    max_leverage: Annotated[float, Field(gt=0, le=1000, validate_default=True)] = 1
    seed: int = Field(default=42, ge=0, lt=2**32)

    @field_validator("stop_loss", "trailing_stop")
    @classmethod
    def _leaves_a_price(cls, distance: float | None, others: ValidationInfo) -> float | None:
        if distance is not None and distance >= 1 and others.data.get("stop_unit") == "fraction":
            raise ValueError("as a fraction of the price it is below 1 (0.05 is 5 %)")
        return distance

    @field_validator("max_leverage")
    @classmethod
    def _allows_the_size(cls, leverage: float, others: ValidationInfo) -> float:
        size = others.data.get("size", 0)
        if others.data.get("sizing") == "fraction" and size > leverage:
            raise ValueError(f"a size of {size:g} of the equity needs a max_leverage of at least {size:g}")
        return leverage


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
