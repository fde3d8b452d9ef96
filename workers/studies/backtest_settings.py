"""How the trials of a study are simulated: the settings of a backtest that a study may fix or search."""

from typing import Literal

from pydantic import Field

from workers.strategy.sections.base import Section


class BacktestSettings(Section):
    """Keys, units and defaults as in `POST /backtests/start`."""

    initial_capital: float = Field(default=100_000.0, gt=0.0, le=1e15)
    commission: float = Field(default=0.001, ge=0.0, le=0.5)
    slippage: float = Field(default=0.0005, ge=0.0, le=0.5)
    spread: float | None = Field(default=None, ge=0.0, le=0.5)
    fill: Literal["next_open", "next_close", "same_close"] = "next_open"
    sizing: Literal["fraction", "units"] = "fraction"
    size: float = Field(default=1.0, gt=0.0, le=1e12)
    allow_short: bool | None = None
    stop_loss: float | None = Field(default=None, gt=0.0, le=100.0)
    take_profit: float | None = Field(default=None, gt=0.0, le=100.0)
    trailing_stop: float | None = Field(default=None, gt=0.0, le=100.0)
    stop_unit: Literal["fraction", "atr"] = "fraction"
    atr_period: int = Field(default=14, ge=1, le=5000)
    quantity_step: float = Field(default=0.0, ge=0.0, le=1e12)
    minimum_quantity: float = Field(default=0.0, ge=0.0, le=1e12)
    max_leverage: float = Field(default=1.0, gt=0.0, le=1000.0)
