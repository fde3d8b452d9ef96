"""A strategy as its file defines it: the parts that every kind of strategy has."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, StringConstraints

from workers.strategy.errors import StrategyProblem
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicator_expressions import (
    FIELD_INDICATORS,
    other_symbol,
    used_indicators,
    warm_up_rows,
)
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
    def warm_up_bars(self) -> int:
        """How many of the first base bars have no decision. Other timeframes and symbols, and gaps, may add more."""
        return max(self.training_data.history_required, self._bars_before_decision())

    @abstractmethod
    def _bars_before_decision(self) -> int:
        """Return the bars that the inputs of the base timeframe need before the first decision."""

    def base_warm_up(self, feature: Feature) -> int:
        """Return how many of the first base bars have no value of a feature; 0 for other timeframes."""
        return self.warm_up_rows(feature.indicator) if feature.timeframe == self.base_timeframe else 0

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

    def symbol_of(self, indicator: str) -> str:
        """Return the other symbol whose bars an indicator reads; empty for the symbol of the run."""
        return other_symbol(self.indicator(indicator))

    def frame_of(self, feature: Feature) -> str:
        """Return the key of the bars that a feature is computed on: `1d`, of another symbol `SPY/1d`."""
        symbol = self.symbol_of(feature.indicator)
        return f"{symbol}/{feature.timeframe}" if symbol else feature.timeframe

    @cached_property
    def other_symbols(self) -> tuple[str, ...]:
        """The symbols, beside that of the run, whose bars the inputs need."""
        names = used_indicators(self.indicators, [feature.indicator for feature in self.features])
        return tuple(dict.fromkeys(symbol for name in names if (symbol := self.symbol_of(name))))

    def files_of(self, symbol: str) -> dict[str, str]:
        """Map the keys of the frames that a run on `symbol` may read to `SYMBOL/TIMEFRAME`, the names of their files."""
        return {
            (f"{other}/{timeframe}" if other else timeframe): f"{other or symbol}/{timeframe}"
            for other in ("", *self.other_symbols)
            for timeframe in self.timeframes
        }

    def resolve(self, reference: str) -> tuple[str, str]:
        """Split `macd_12.histogram` into indicator and output; a bare indicator name means its first output."""
        indicator, _, output = reference.partition(".")
        entry = INDICATORS[self.indicator(indicator).type]
        return indicator, output or entry.outputs[0].name

    def warm_up_rows(self, indicator: str) -> int:
        """Return how many of the first bars have no value of this indicator."""
        return warm_up_rows(self.indicators, indicator)
