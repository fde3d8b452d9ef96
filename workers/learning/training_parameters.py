"""The parameters of a training operation."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class TrainingParameters(BaseModel):
    """Dates are UTC days, both included; symbols and dates override those of the strategy."""

    model_config = ConfigDict(extra="forbid")

    strategy_yaml: str = Field(max_length=1_000_000)
    symbols: tuple[str, ...] = Field(default=(), max_length=500)
    timeframes: tuple[str, ...] = Field(default=(), max_length=8)
    """Only checked: they have to be the strategy's own."""
    start_date: date | None = None
    end_date: date | None = None
    seed: int = Field(default=42, ge=0, le=2**63 - 1)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
