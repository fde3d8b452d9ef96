"""`training_data`: the symbols, timeframes and dates of a strategy."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.quoting import quote, shorten
from workers.strategy.sections.base import IsoDate, Section, Symbol


def _check_timeframe(value: object) -> object:
    if isinstance(value, str) and value not in TIMEFRAMES:
        raise ValueError(f"{quote(value)} is not a timeframe; choose from {', '.join(TIMEFRAMES)}")
    return value


Timeframe = Annotated[str, BeforeValidator(_check_timeframe)]


def _reject_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{shorten(', '.join(repeated))} appears more than once")
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
    """Rows are bars of `base_timeframe`; a value of another timeframe is used once its bar has closed."""

    mode: Literal["multi_timeframe"]
    list: tuple[Timeframe, ...] = Field(min_length=1, max_length=8)
    base_timeframe: Timeframe

    @model_validator(mode="after")
    def _base_is_listed(self) -> Self:
        _reject_repeats(self.list)
        if self.base_timeframe not in self.list:
            raise ValueError(f"base_timeframe {self.base_timeframe} is not in list ({', '.join(self.list)})")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.list

    @property
    def base(self) -> str:
        return self.base_timeframe


class DateRange(Section):
    start: IsoDate | None = None
    """First day (UTC)."""
    end: IsoDate | None = None
    """Last day (UTC), inclusive."""


def _check_date_keys(data: Any) -> Any:
    """Reject `date_range` together with its flat spelling, `start_date` and `end_date`."""
    if not isinstance(data, dict):
        return data
    flat = [key for key in ("start_date", "end_date") if data.get(key) is not None]
    if flat and data.get("date_range") is not None:
        raise ValueError(f"date_range and {' and '.join(flat)} set the same dates; keep one of them")
    return data


class TrainingData(Section):
    symbols: Annotated[SingleSymbol | SeveralSymbols, Field(discriminator="mode")]
    timeframes: Annotated[SingleTimeframe | SeveralTimeframes, Field(discriminator="mode")]
    history_required: int = Field(default=0, ge=0, le=100_000)
    """Minimum number of bars of the base timeframe before the first row. The warm-up of the indicators applies
    separately; the longer of the two counts."""
    date_range: DateRange | None = None
    start_date: IsoDate | None = None
    """Same as `start` of `date_range`; use one of the two."""
    end_date: IsoDate | None = None
    """Same as `end` of `date_range`; use one of the two."""

    _dates = model_validator(mode="before")(_check_date_keys)

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start} must be before end {self.end}")
        return self

    @property
    def start(self) -> date | None:
        return self.date_range.start if self.date_range else self.start_date

    @property
    def end(self) -> date | None:
        """Last day, inclusive."""
        return self.date_range.end if self.date_range else self.end_date
