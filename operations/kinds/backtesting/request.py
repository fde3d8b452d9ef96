"""The body of `POST /backtests/start`."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from operations.requests import DateRange, Queueing, StrategyText, Symbol, Timeframe
from worker_agent.protocol import Identifier

Share = Annotated[float, Field(ge=0, le=0.5)]
Distance = Annotated[float, Field(gt=0, le=100)]
Quantity = Annotated[float, Field(ge=0, le=1e12)]


class BacktestRequest(Queueing, DateRange):
    model: Identifier | None = None
    strategy_yaml: StrategyText | None = None
    symbol: Symbol
    timeframe: Timeframe | None = None
    reference: Symbol | None = None
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
