"""The strategies of trials. Where a trial changes only parameters of indicators, the rest is not parsed again."""

from collections.abc import Mapping
from typing import Any

from workers.strategy.document import read_document
from workers.strategy.grammar import RulesStrategy, Strategy
from workers.strategy.indicator_catalog import EXPRESSION
from workers.strategy.indicator_reading import read_indicator
from workers.strategy.sections.model_inputs import Indicator
from workers.studies.binding import BoundStudy
from workers.studies.pointers import freeze, parts_of

Changes = tuple[tuple[str, Any], ...]


class TrialStrategies:
    """Gives the strategy of a point, as `BoundStudy.strategy_of` does; a full parse takes most of the time of a trial.

    The conditions of a rules strategy do not depend on the parameters of its indicators, so a copy with other indicators
    keeps their trees, and the text of the study's strategy. Safe to use from several threads.
    """

    def __init__(self, bound: BoundStudy) -> None:
        self._bound, self._base = bound, bound.strategy
        self._specs = _plain_indicators(bound.strategy)
        self._read: dict[tuple[str, Changes], Indicator | None] = {}
        self._targets: dict[str, tuple[str, str] | None] = {}

    def strategy_of(self, point: Mapping[str, Any]) -> Strategy:
        """Raises BadPoint."""
        indicators = self._indicators_of(point)
        if indicators is None:
            return self._bound.strategy_of(dict(point))
        if not indicators:
            return self._base
        return self._base.model_copy(update={"indicators": {**self._base.indicators, **indicators}})

    def _indicators_of(self, point: Mapping[str, Any]) -> dict[str, Indicator] | None:
        """Return the indicators that the point changes; None if it changes anything else, or is invalid."""
        changes: dict[str, list[tuple[str, Any]]] = {}
        for at, value in point.items():
            if at.startswith("/backtest/"):
                continue
            if at not in self._targets:
                self._targets[at] = self._target_of(at)
            target = self._targets[at]
            if target is None:
                return None
            changes.setdefault(target[0], []).append((target[1], freeze(value)))
        indicators = {name: self._indicator(name, tuple(own)) for name, own in changes.items()}
        return None if None in indicators.values() else indicators  # type: ignore[return-value]

    def _target_of(self, at: str) -> tuple[str, str] | None:
        """Return indicator and parameter that a pointer leads to; None if it leads to anything else."""
        parts = parts_of(at)
        if len(parts) != 3 or parts[0] != "indicators" or parts[2] == "type" or parts[1] not in self._specs:
            return None
        return parts[1], parts[2]

    def _indicator(self, name: str, changes: Changes) -> Indicator | None:
        key = (name, changes)
        if key not in self._read:
            self._read[key] = read_indicator({**self._specs[name], **dict(changes)}, "")[0]
        return self._read[key]


def _plain_indicators(strategy: Strategy) -> dict[str, Any]:
    """Return the sections of indicators whose parameters may be replaced one by one; none of a trained strategy."""
    if not isinstance(strategy, RulesStrategy):
        return {}
    values = read_document(strategy.text).data
    sections = values.get("indicators") if isinstance(values, dict) else None
    if not isinstance(sections, dict):
        return {}
    # The copies share what these properties keep.
    assert strategy.conditions is not None
    assert strategy.features is not None
    return {
        name: section
        for name, section in sections.items()
        if name in strategy.indicators
        and strategy.indicators[name].type != EXPRESSION
        and read_indicator(section, "")[0] == strategy.indicators[name]
    }
