"""`training_data`: which symbols, timeframes and dates a strategy is made for."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.sections.base import IsoDate, Section, Symbol


def _check_timeframe(value: object) -> object:
    if isinstance(value, str) and value not in TIMEFRAMES:
        raise ValueError(f"{value!r} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return value


Timeframe = Annotated[str, BeforeValidator(_check_timeframe)]


def _reject_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{', '.join(repeated)} stands here twice")
    return values


class SingleSymbol(Section):
    mode: Literal["single"]
    symbol: Symbol

    @property
    def names(self) -> tuple[str, ...]:
        return (self.symbol,)


class SeveralSymbols(Section):
    mode: Literal["multi_symbol"]
    list: tuple[Symbol, ...] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _check_repeats(self) -> Self:
        _reject_repeats(self.list)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.list


class SingleTimeframe(Section):
    mode: Literal["single"]
    timeframe: Timeframe

    @property
    def names(self) -> tuple[str, ...]:
        return (self.timeframe,)

    @property
    def base(self) -> str:
        return self.timeframe


class SeveralTimeframes(Section):
    """Bars of `base_timeframe` are the rows; values of the others are joined when their bar has closed."""

    mode: Literal["multi_timeframe"]
    list: tuple[Timeframe, ...] = Field(min_length=1, max_length=8)
    base_timeframe: Timeframe

    @model_validator(mode="after")
    def _base_is_listed(self) -> Self:
        _reject_repeats(self.list)
        if self.base_timeframe not in self.list:
            raise ValueError(f"base_timeframe {self.base_timeframe} is not in list {', '.join(self.list)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.list

    @property
    def base(self) -> str:
        return self.base_timeframe


class DateRange(Section):
    start: IsoDate | None = None
    """First day whose bars are used (UTC)."""
    end: IsoDate | None = None
    """Last day, inclusive."""


def _check_date_keys(data: Any) -> Any:
    """`start_date` and `end_date` are the flat spelling of `date_range`."""
    if not isinstance(data, dict):
        return data
    flat = [key for key in ("start_date", "end_date") if data.get(key) is not None]
    if flat and data.get("date_range") is not None:
        raise ValueError(f"date_range and {' and '.join(flat)} say the same thing twice; keep one of them")
    return data


class TrainingData(Section):
    symbols: Annotated[SingleSymbol | SeveralSymbols, Field(discriminator="mode")]
    timeframes: Annotated[SingleTimeframe | SeveralTimeframes, Field(discriminator="mode")]
    history_required: int = Field(default=0, ge=0, le=100_000)
    """Bars of the base timeframe that must lie before the first row used; the indicators' own warm-up
    comes on its own and the longer of the two counts."""
    date_range: DateRange | None = None
    start_date: IsoDate | None = None
    """The same as `start` of `date_range`; one of the two."""
    end_date: IsoDate | None = None

    _dates = model_validator(mode="before")(_check_date_keys)

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self

    @property
    def start(self) -> date | None:
        return self.date_range.start if self.date_range else self.start_date

    @property
    def end(self) -> date | None:
        """Last day, inclusive."""
        return self.date_range.end if self.date_range else self.end_date
