"""A strategy without training: conditions over indicators decide (`model: {type: rules}`)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import Field

from workers.strategy.definition import Feature, Strategy
from workers.strategy.expressions.lookback import lookback
from workers.strategy.expressions.parser import parse
from workers.strategy.expressions.resolving import resolve
from workers.strategy.expressions.tree import Column, Node, Reference, walk
from workers.strategy.rules_scope import RulesScope
from workers.strategy.sections.base import Identifier
from workers.strategy.sections.rules import RulesDecisions, RulesModel

Constant = Annotated[float, Field(ge=-1e15, le=1e15)]


class RulesStrategy(Strategy):
    """A strategy that decides by conditions. Nothing is trained; a backtest needs only this file and bars."""

    constants: dict[Identifier, Constant] = Field(default={}, max_length=100)
    """Numbers that the conditions may use by name, also as a number of bars."""
    model: RulesModel
    decisions: RulesDecisions

    @property
    def allow_short(self) -> bool:
        return self.decisions.allow_short

    @cached_property
    def conditions(self) -> Mapping[str, Node]:
        """The resolved trees of `long`, `short`, `exit_long` and `exit_short`, those that the file has."""
        return {name: self.resolve_condition(text) for name, text in self.decisions.expressions.items()}

    def resolve_condition(self, text: str) -> Node:
        """Return the tree of a condition, with names of features as columns. Raises `ExpressionError`."""
        return resolve(parse(text), self._scope, "condition")

    @property
    def used_constants(self) -> frozenset[str]:
        names = (
            node.name
            for text in self.decisions.expressions.values()
            for node in walk(parse(text))
            if isinstance(node, Reference)
        )
        return frozenset(name for name in names if name in self.constants)

    @cached_property
    def _scope(self) -> RulesScope:
        return RulesScope(
            self.indicators, self.fuzzy_sets, self.constants, self.timeframes, self.base_timeframe
        )

    def _list_features(self) -> tuple[Feature, ...]:
        """Each value that a condition names, in the order of the file."""
        columns = (
            node.name for tree in self.conditions.values() for node in walk(tree) if isinstance(node, Column)
        )
        return tuple(self._scope.feature(name) for name in dict.fromkeys(columns))

    def _bars_before_decision(self) -> int:
        """Return the bars that the condition with the longest memory needs."""

        def of_column(name: str) -> int:
            return self.base_warm_up(self._scope.feature(name))

        return max(lookback(tree, of_column) for tree in self.conditions.values())
