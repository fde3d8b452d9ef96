"""A strategy as its file defines it: the parts that every kind of strategy has."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, StringConstraints

from workers.strategy.errors import StrategyProblem
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicator_expressions import FIELD_INDICATORS, warm_up_rows
from workers.strategy.sections.base import Identifier, Section
from workers.strategy.sections.model_inputs import FuzzySet, Indicator, Membership
from workers.strategy.sections.training_data import TrainingData


@dataclass(frozen=True, slots=True)
class Feature:
    """One input: a membership of, or the value of, one indicator output on one timeframe."""

    name: str
    timeframe: str
    indicator: str
    output: str
    membership: Membership | None
    fuzzy_set: str | None
    normalization: Literal["none", "minmax", "zscore"]
    """`none` for memberships."""


class Strategy(Section):
    """A complete strategy. `text` is the file it was parsed from; `warnings` are for its author to review."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    """Shown on pages and stored with the results."""
    version: Literal["3.0"]
    """Version of the grammar."""
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    training_data: TrainingData
    indicators: dict[Identifier, Indicator] = Field(default={}, max_length=200)
    fuzzy_sets: dict[Identifier, FuzzySet] = Field(default={}, max_length=200)

    _text: str = PrivateAttr(default="")
    _warnings: tuple[StrategyProblem, ...] = PrivateAttr(default=())

    @property
    def text(self) -> str:
        return self._text

    @property
    def warnings(self) -> tuple[StrategyProblem, ...]:
        return self._warnings

    @property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8, hexadecimal."""
        return sha256(self._text.encode()).hexdigest()

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.training_data.symbols.names

    @property
    def timeframes(self) -> tuple[str, ...]:
        """In the order of the file; `base_timeframe` is one of them."""
        return self.training_data.timeframes.names

    @property
    def base_timeframe(self) -> str:
        return self.training_data.timeframes.base

    @property
    @abstractmethod
    def allow_short(self) -> bool:
        """Whether the strategy may open short positions."""

    @property
    def lookback_periods(self) -> int:
        """Number of earlier bars whose inputs are appended to each row."""
        return 0

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs in order: the current bar first, then earlier bars (`@-1` is one bar ago)."""
        names = tuple(feature.name for feature in self.features)
        lags = range(1, self.lookback_periods + 1)
        return names + tuple(f"{name}@-{lag}" for lag in lags for name in names)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The inputs of one bar, in order."""
        return self._list_features()

    @abstractmethod
    def _list_features(self) -> tuple[Feature, ...]: ...

    def indicator(self, name: str) -> Indicator:
        """Return an indicator of the file, or the one of a field of the bars (`close`)."""
        return self.indicators.get(name) or FIELD_INDICATORS[name]

    def resolve(self, reference: str) -> tuple[str, str]:
        """Split `macd_12.histogram` into indicator and output; a bare indicator name means its first output."""
        indicator, _, output = reference.partition(".")
        entry = INDICATORS[self.indicator(indicator).type]
        return indicator, output or entry.outputs[0].name

    def warm_up_rows(self, indicator: str) -> int:
        """Return how many of the first bars have no value of this indicator."""
        return warm_up_rows(self.indicators, indicator)
