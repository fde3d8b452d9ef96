"""Compute indicators of a strategy on one set of bars, each once; formulas after the indicators that they name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from workers.strategy.definition import Strategy
from workers.strategy.indicator_catalog import EXPRESSION
from workers.strategy.indicator_expressions import FIELD_INDICATORS, indicator_tree
from workers.strategy.indicators.columns import Floats
from workers.strategy.indicators.evaluation import evaluate_number
from workers.strategy.sections.model_inputs import Indicator


@dataclass(frozen=True, slots=True)
class IndicatorLines:
    """`of_catalog` computes an indicator of the catalog on the bars, `of_field` a value of the bars such as `close`,
    `of_other` an output of an indicator of another symbol, joined to the bars."""

    strategy: Strategy
    symbol: str
    """That of the bars; empty for the symbol of the run."""
    rows: int
    of_catalog: Callable[[Indicator], Mapping[str, Floats]]
    of_field: Callable[[str], Floats]
    of_other: Callable[[str, str], Floats]
    _known: dict[str, Mapping[str, Floats]] = field(default_factory=dict)

    def outputs(self, name: str) -> Mapping[str, Floats]:
        """Return the lines of an indicator by name of output; float64[rows] each."""
        if name not in self._known:
            self._known[name] = self._compute(name)
        return self._known[name]

    def _compute(self, name: str) -> Mapping[str, Floats]:
        indicator = self.strategy.indicator(name)
        if indicator.type != EXPRESSION:
            return self.of_catalog(indicator)
        tree = indicator_tree(self.strategy.indicators, name)
        return {"value": evaluate_number(tree, self._column, self.rows)}

    def _column(self, name: str) -> Floats:
        if name in FIELD_INDICATORS:
            return self.of_field(name)
        indicator, output = self.strategy.resolve(name)
        if self.strategy.symbol_of(indicator) not in ("", self.symbol):
            return self.of_other(indicator, output)
        return self.outputs(indicator)[output]
