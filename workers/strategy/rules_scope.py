"""The names that the conditions of a rules strategy may use, and the input that each one means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workers.strategy.definition import Feature
from workers.strategy.expressions.functions import CLOCK, FIELDS
from workers.strategy.expressions.resolving import unknown_name
from workers.strategy.expressions.tree import ExpressionError, Reference
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicator_expressions import output_column
from workers.strategy.sections.model_inputs import FuzzySet, Indicator


@dataclass(frozen=True, slots=True)
class RulesScope:
    """A column is named as a file writes it: `rsi_14`, `macd_12.signal`, `momentum.low`, `close@1w`, `hour()`."""

    indicators: Mapping[str, Indicator]
    fuzzy_sets: Mapping[str, FuzzySet]
    constants: Mapping[str, float]
    timeframes: tuple[str, ...]
    base_timeframe: str
    _features: dict[str, Feature] = field(default_factory=dict)

    def column(self, reference: Reference) -> str:
        if reference.timeframe is not None and reference.timeframe not in self.timeframes:
            message = unknown_name("timeframe of training_data", reference.timeframe, self.timeframes)
            raise ExpressionError(reference.offset, message)
        timeframe = reference.timeframe or self.base_timeframe
        if reference.name in self.constants:
            message = f"{reference.name} is a constant, the same at every bar; remove {str(reference)[len(reference.name) :]}"
            raise ExpressionError(reference.offset, message)
        of_base = replace(reference, timeframe=None)
        if reference.name in self.fuzzy_sets:
            feature = self._membership(of_base, timeframe)
        else:
            feature = self._value(of_base, timeframe)
        if timeframe != self.base_timeframe:
            feature = replace(feature, name=f"{feature.name}@{timeframe}")
        self._features[feature.name] = feature
        return feature.name

    def feature(self, column: str) -> Feature:
        """Return the input of a column that `column` or the resolver named."""
        if column.removesuffix("()") in CLOCK:
            return _feature(column, self.base_timeframe, column, "value")
        return self._features[column]

    def _value(self, reference: Reference, timeframe: str) -> Feature:
        outputs = {
            name: tuple(output.name for output in INDICATORS[indicator.type].outputs)
            for name, indicator in self.indicators.items()
        }
        if reference.name not in (*outputs, *FIELDS):
            names = [*outputs, *self.fuzzy_sets, *self.constants, *FIELDS]
            raise ExpressionError(reference.offset, unknown_name("value", str(reference), names))
        column = output_column(reference, outputs)
        indicator, _, output = column.partition(".")
        line = output or (outputs[indicator][0] if indicator in outputs else "value")
        return _feature(column, timeframe, indicator, line)

    def _membership(self, reference: Reference, timeframe: str) -> Feature:
        name, part = reference.name, reference.part
        fuzzy_set = self.fuzzy_sets[name]
        names = list(fuzzy_set.memberships)
        if part is None:
            message = f"name a membership of the fuzzy set {name}, for example {name}.{names[0]}"
            raise ExpressionError(reference.offset, message)
        if part not in names:
            raise ExpressionError(reference.offset, unknown_name(f"membership of {name}", part, names))
        indicator, _, output = fuzzy_set.indicator.partition(".")
        line = output or INDICATORS[self.indicators[indicator].type].outputs[0].name
        feature = _feature(f"{name}.{part}", timeframe, indicator, line)
        return replace(feature, membership=fuzzy_set.memberships[part], fuzzy_set=name)


def _feature(name: str, timeframe: str, indicator: str, output: str) -> Feature:
    return Feature(name, timeframe, indicator, output, None, None, "none")
