"""What an import is asked for."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workers.strategy.catalog import TIMEFRAMES


class ImportParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str
    adjust: bool = False
    """Multiply open, high, low and close by the adjusted close over the close."""
    timezone: str | None = Field(default=None, max_length=64)
    """Of times that the file writes without an offset, as an IANA name; the layout's own, else UTC, where absent."""
    filename: str = Field(default="", max_length=400)

    @field_validator("timeframe")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TIMEFRAMES:
            raise ValueError(f"{value!r} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
        return value
