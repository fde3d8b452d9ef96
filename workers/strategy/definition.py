"""A strategy as its file defines it: the sections and the values derived from them."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints

from workers.strategy.catalog import Value
from workers.strategy.errors import StrategyProblem
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.sections.base import Identifier, Section
from workers.strategy.sections.decisions import Decisions
from workers.strategy.sections.labels import ForwardReturnLabels, label_horizon
from workers.strategy.sections.model import Model
from workers.strategy.sections.model_inputs import FuzzySet, Indicator, Membership, NNInput
from workers.strategy.sections.training import Training
from workers.strategy.sections.training_data import TrainingData


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model: a membership of, or the value of, one indicator output on one timeframe."""

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
    """Shown on pages and stored with the model."""
    version: Literal["3.0"]
    """Version of the grammar."""
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    training_data: TrainingData
    indicators: dict[Identifier, Indicator] = Field(min_length=1, max_length=200)
    fuzzy_sets: dict[Identifier, FuzzySet] = Field(default={}, max_length=200)
    nn_inputs: tuple[NNInput, ...] = Field(min_length=1, max_length=500)
    model: Model
    decisions: Decisions
    training: Training

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
    def is_classification(self) -> bool:
        return self.decisions.output_format == "classification"

    @property
    def loss(self) -> str:
        """The configured loss, or the default for the output format."""
        return self.training.loss or ("cross_entropy" if self.is_classification else "huber")

    @property
    def label_horizon(self) -> int:
        """How many later bars the label of a row may use."""
        return label_horizon(self.training.labels)

    def with_defaults(self) -> "Strategy":
        """Return a copy with `None` replaced where a default depends on other keys. A value that stays `None` does
        not apply (`focal_gamma` with another loss)."""
        loss, labels = self.loss, self.training.labels
        if isinstance(labels, ForwardReturnLabels) and self.is_classification and labels.threshold is None:
            labels = labels.model_copy(update={"threshold": 0.0})
        defaults: dict[str, Any] = {"loss": loss, "labels": labels}
        for key, applies, default in (
            ("focal_gamma", loss == "focal", 2.0),
            ("huber_delta", loss == "huber", 0.01),
            ("label_smoothing", loss == "cross_entropy", 0.0),
            ("momentum", self.training.optimizer == "sgd", 0.9),
        ):
            if applies and getattr(self.training, key) is None:
                defaults[key] = default
        return self.model_copy(update={"training": self.training.model_copy(update=defaults)})

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the model's inputs in order: the current bar first, then earlier bars (`@-1` is one bar ago)."""
        names = tuple(feature.name for feature in self.features)
        lags = range(1, self.model.features.lookback_periods + 1)
        return names + tuple(f"{name}@-{lag}" for lag in lags for name in names)

    def inputs_of_entry(self, entry: NNInput) -> int:
        """Return how many inputs of one bar an entry of `nn_inputs` defines, without building them."""
        timeframes = self.timeframes if entry.timeframes == "all" else entry.timeframes
        memberships = 1 if entry.fuzzy_set is None else len(self.fuzzy_sets[entry.fuzzy_set].memberships)
        return len(timeframes) * memberships

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """In the order of `nn_inputs`, then timeframes, then memberships."""
        return tuple(feature for entry in self.nn_inputs for feature in self._features_of(entry))

    def _features_of(self, entry: NNInput) -> list[Feature]:
        timeframes = self.timeframes if entry.timeframes == "all" else entry.timeframes
        if entry.raw_indicator is not None:
            indicator, output = self.resolve(entry.raw_indicator)
            normalization = entry.normalization or "none"
            return [
                Feature(
                    f"{timeframe}_{entry.raw_indicator}_raw",
                    timeframe,
                    indicator,
                    output,
                    None,
                    None,
                    normalization,
                )
                for timeframe in timeframes
            ]
        assert entry.fuzzy_set is not None
        fuzzy_set = self.fuzzy_sets[entry.fuzzy_set]
        indicator, output = self.resolve(fuzzy_set.indicator)
        return [
            Feature(
                f"{timeframe}_{entry.fuzzy_set}_{name}",
                timeframe,
                indicator,
                output,
                member,
                entry.fuzzy_set,
                "none",
            )
            for timeframe in timeframes
            for name, member in fuzzy_set.memberships.items()
        ]

    def resolve(self, reference: str) -> tuple[str, str]:
        """Split `macd_12.histogram` into indicator and output; a bare indicator name means its first output."""
        indicator, _, output = reference.partition(".")
        entry = INDICATORS[self.indicators[indicator].type]
        return indicator, output or entry.outputs[0].name

    def warm_up_rows(self, indicator: str) -> int:
        """Return how many of the first bars have no value of this indicator."""
        spec = self.indicators[indicator]
        parameters: dict[str, Value] = dict(spec.parameters)
        return INDICATORS[spec.type].warm_up_rows(parameters)
