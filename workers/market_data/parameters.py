"""The parameters of an import."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.quoting import quote


class ImportParameters(BaseModel):
    """Parameters of a `data_import` operation."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str
    adjust: bool = False
    """Multiply open, high, low and close by the adjusted close over the close."""
    timezone: str | None = Field(default=None, max_length=64)
    """IANA name for times without an offset; if absent, the time zone of the layout, or UTC."""
    filename: str = Field(default="", max_length=400)

    @field_validator("timeframe")
    @classmethod
    def _check_timeframe(cls, value: str) -> str:
        if value not in TIMEFRAMES:
            raise ValueError(f"{quote(value)} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
        return value
