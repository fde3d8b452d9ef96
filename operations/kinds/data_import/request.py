"""The fields beside the file of `POST /market-data`, and the parameters that are stored."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from operations.requests import LARGEST, SMALLEST, Symbol, Timeframe

DECIMAL_NAMES = {"point": ".", "comma": ","}
"""Accepted beside the marks: easier to type in a shell."""
READING_OPTIONS = ("timezone", "stamped", "decimal", "layout", "point_size")
"""How to read a file where its content does not show it."""


def _decimal_mark(value: object) -> object:
    return DECIMAL_NAMES.get(value, value) if isinstance(value, str) else value


class ImportFields(BaseModel):
    """What the file contains, and how to read it."""

    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    timeframe: Timeframe
    adjust: bool = False
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] | None = None
    stamped: Literal["open", "close"] | None = None
    decimal: Annotated[Literal[".", ","], BeforeValidator(_decimal_mark)] | None = None
    layout: (
        Literal[
            "generic",
            "metatrader",
            "copy_rates",
            "histdata",
            "ninjatrader",
            "finam",
            "stooq",
            "yahoo",
            "binance",
        ]
        | None
    ) = None
    point_size: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)


class ImportRequest(ImportFields):
    """Fields of a multipart form."""

    priority: int = Field(default=0, ge=SMALLEST, le=LARGEST)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        """A form sends every field, also those that were left empty."""
        return (
            {name: value for name, value in data.items() if value != ""} if isinstance(data, dict) else data
        )


class ImportParameters(ImportFields):
    """The stored parameters of an import and of its preview."""

    filename: str
