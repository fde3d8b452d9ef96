"""The parameters of an import and of its preview."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.quoting import quote

LayoutName = Literal[
    "generic", "metatrader", "copy_rates", "histdata", "ninjatrader", "finam", "stooq", "yahoo", "binance"
]


class ImportParameters(BaseModel):
    """Parameters of a `data_import` or `data_preview` operation."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str
    adjust: bool = False
    """Multiply open, high, low and close by the adjusted close over the close."""
    timezone: str | None = Field(default=None, max_length=64)
    """IANA name for times without an offset; if absent, the time zone of the layout, the one that the sessions of known
    calendars show, or UTC."""
    stamped: Literal["open", "close"] | None = None
    """Whether the time of a bar is that of its open or of its close."""
    decimal: Literal[".", ","] | None = None
    layout: LayoutName | None = None
    point_size: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """Price of a point, for a spread in points."""
    filename: str = Field(default="", max_length=400)

    @field_validator("timeframe")
    @classmethod
    def _check_timeframe(cls, value: str) -> str:
        if value not in TIMEFRAMES:
            raise ValueError(f"{quote(value)} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
        return value
