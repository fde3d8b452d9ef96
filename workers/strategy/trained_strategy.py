"""A strategy whose model is trained: `nn_inputs`, `model`, `decisions` on its predictions, `training`."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, PrivateAttr

from workers.strategy.definition import Feature, Strategy
from workers.strategy.sections.base import Identifier
from workers.strategy.sections.decisions import Decisions
from workers.strategy.sections.labels import ForwardReturnLabels, label_horizon
from workers.strategy.sections.model import Model, sequence_length
from workers.strategy.sections.model_inputs import Indicator, NNInput
from workers.strategy.sections.training import Training


class TrainedStrategy(Strategy):
    """A strategy that decides by the predictions of its model."""

    indicators: dict[Identifier, Indicator] = Field(min_length=1, max_length=200)
    nn_inputs: tuple[NNInput, ...] = Field(min_length=1, max_length=500)
    model: Model
    decisions: Decisions
    training: Training

    _stored_order: tuple[str, ...] = PrivateAttr(default=())
    """Input names of one bar in the order of a stored model; empty if the inputs are sorted by name."""

    def with_input_order(self, input_names: Sequence[str]) -> "TrainedStrategy":
        """Return a copy whose inputs have the order of a stored model. Raises ValueError if `input_names` are others."""
        ordered = self.model_copy()
        ordered._stored_order = tuple(input_names[: len(self.features)])
        ordered.__dict__.pop("features", None)  # a copy has the cached values too
        if ordered.input_names != tuple(input_names):
            raise ValueError("the names are not those of the strategy's inputs")
        return ordered

    @property
    def allow_short(self) -> bool:
        return self.decisions.allow_short

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

    def with_defaults(self) -> "TrainedStrategy":
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
    def lookback_periods(self) -> int:
        return self.model.features.lookback_periods

    def _bars_before_decision(self) -> int:
        of_inputs = max(self.base_warm_up(feature) for feature in self.features)
        return of_inputs + self.lookback_periods + sequence_length(self.model) - 1

    def inputs_of_entry(self, entry: NNInput) -> int:
        """Return how many inputs of one bar an entry of `nn_inputs` defines, without building them."""
        timeframes = self.timeframes if entry.timeframes == "all" else entry.timeframes
        memberships = 1 if entry.fuzzy_set is None else len(self.fuzzy_sets[entry.fuzzy_set].memberships)
        return len(timeframes) * memberships

    def _list_features(self) -> tuple[Feature, ...]:
        """Sorted by name, or in the order of a stored model: the order of a file's keys must not change a training."""
        rank = {name: number for number, name in enumerate(self._stored_order)}
        features = (feature for entry in self.nn_inputs for feature in self._features_of(entry))
        return tuple(sorted(features, key=lambda feature: (rank.get(feature.name, len(rank)), feature.name)))

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
