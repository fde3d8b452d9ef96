"""The fields beside the file of `POST /market-data`."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from operations.requests import LARGEST, SMALLEST, Symbol, Timeframe


class ImportRequest(BaseModel):
    """Fields of a multipart form."""

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
