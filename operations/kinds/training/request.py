"""The body of `POST /training/start`."""

from typing import Literal

from pydantic import Field

from operations.requests import DateRange, Queueing, StrategyText, Symbol, Timeframe


class TrainingRequest(Queueing, DateRange):
    strategy_yaml: StrategyText
    symbols: tuple[Symbol, ...] | None = Field(default=None, min_length=1, max_length=1000)
    timeframes: tuple[Timeframe, ...] | None = Field(default=None, min_length=1, max_length=20)
    seed: int = Field(default=42, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    prefer_gpu: bool = True
