"""The parameters of a strategy preview."""

from pydantic import BaseModel, ConfigDict, Field


class StrategyPreviewParameters(BaseModel):
    """Parameters of a `strategy_preview` operation."""

    model_config = ConfigDict(extra="forbid")

    previewed_yaml: str = Field(min_length=1, max_length=1_000_000)
    symbol: str = Field(min_length=1, max_length=64)
