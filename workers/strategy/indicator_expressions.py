"""Indicators of type `expression`: the names that they may use, their order and their warm-up."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from workers.strategy.expressions.functions import CLOCK, FIELDS
from workers.strategy.expressions.lookback import lookback
from workers.strategy.expressions.parser import parse
from workers.strategy.expressions.resolving import resolve, unknown_name
from workers.strategy.expressions.tree import Column, ExpressionError, Node, Reference, walk
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS
from workers.strategy.sections.model_inputs import Indicator

Indicators = Mapping[str, Indicator]
Outputs = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of indicators and of their outputs."""

CACHED_TREES = 512

FIELD_INDICATORS: Indicators = {
    name: Indicator(type=EXPRESSION, parameters={"expression": name})
    for name in (*FIELDS, *(f"{function}()" for function in CLOCK))
}
"""The indicator of each value of the bars themselves."""


def expression_of(indicator: Indicator) -> str:
    return str(indicator.parameters["expression"])


def other_symbol(indicator: Indicator) -> str:
    """Return the symbol whose bars an indicator reads; empty for the symbol of the run."""
    return str(indicator.parameters.get("symbol", ""))


def indicator_tree(indicators: Indicators, name: str) -> Node:
    """Return the resolved tree of an indicator of type `expression`. Raises `ExpressionError`."""
    if name in FIELD_INDICATORS:
        return Column(name, 0)
    return resolved_tree(expression_of(indicators[name]), _outputs(indicators))


def _outputs(indicators: Indicators) -> Outputs:
    return tuple(
        (name, tuple(output.name for output in INDICATORS[indicator.type].outputs))
        for name, indicator in indicators.items()
    )


@lru_cache(maxsize=CACHED_TREES)
def resolved_tree(text: str, outputs: Outputs) -> Node:
    """Return the tree of a number over the fields of bars and `outputs`. Raises `ExpressionError`."""
    return resolve(parse(text), _IndicatorScope(dict(outputs)), "number")


class _IndicatorScope:
    def __init__(self, outputs: Mapping[str, tuple[str, ...]]) -> None:
        self._outputs = outputs
        self.constants: Mapping[str, float] = {}

    def column(self, reference: Reference) -> str:
        if reference.timeframe is not None:
            message = "an indicator has no timeframe; the inputs that use it select theirs"
            raise ExpressionError(reference.offset, message)
        return output_column(reference, self._outputs)


def output_column(reference: Reference, outputs: Mapping[str, tuple[str, ...]]) -> str:
    """Return the column of a field or an indicator's output: `close`, `rsi_14`, `macd_12.signal`.

    Raises `ExpressionError`.
    """
    name, part = reference.name, reference.part
    if name in FIELDS:
        if part is not None:
            raise ExpressionError(reference.offset, f"{name} is one value of a bar; remove .{part}")
        return name
    if name not in outputs:
        raise ExpressionError(reference.offset, unknown_name("value", str(reference), [*outputs, *FIELDS]))
    lines = outputs[name]
    if part is not None and part not in lines:
        raise ExpressionError(reference.offset, unknown_name(f"output of {name}", part, lines))
    return name if len(lines) == 1 else f"{name}.{part or lines[0]}"


def indicators_of(tree: Node) -> Iterator[str]:
    """Yield the indicators that a resolved tree of an indicator names, without the fields of the bars."""
    for node in walk(tree):
        if isinstance(node, Column) and node.name not in FIELD_INDICATORS:
            yield node.name.partition(".")[0]


def used_indicators(indicators: Indicators, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of `names` that the file defines and the indicators that they need, each once and in order."""
    used: dict[str, None] = {}
    waiting = [*names][::-1]
    while waiting:
        name = waiting.pop()
        if name in used or name not in indicators:
            continue
        used[name] = None
        if indicators[name].type == EXPRESSION:
            waiting += indicators_of(indicator_tree(indicators, name))
    return tuple(used)


def fields_of(indicators: Indicators, name: str) -> frozenset[str]:
    """Return the columns of its own bars that an indicator reads, through other indicators of the same symbol too."""
    indicator = indicators.get(name) or FIELD_INDICATORS[name]
    if indicator.type != EXPRESSION:
        source = indicator.parameters.get("source")
        return frozenset(INDICATORS[indicator.type].reads) | ({str(source)} if source else set())
    tree = indicator_tree(indicators, name)
    own = {node.name for node in walk(tree) if isinstance(node, Column) and node.name in FIELDS}
    same = [
        other
        for other in indicators_of(tree)
        if other_symbol(indicators[other]) in ("", other_symbol(indicator))
    ]
    return frozenset(own).union(*(fields_of(indicators, other) for other in same))


def warm_up_rows(indicators: Indicators, name: str) -> int:
    """Return how many of the first bars have no value of this indicator."""
    indicator = indicators.get(name) or FIELD_INDICATORS[name]
    if indicator.type != EXPRESSION:
        return INDICATORS[indicator.type].warm_up_rows(dict(indicator.parameters))

    def of_column(column: str) -> int:
        return 0 if column in FIELD_INDICATORS else warm_up_rows(indicators, column.partition(".")[0])

    return lookback(indicator_tree(indicators, name), of_column)


def find_circle(indicators: Indicators) -> tuple[str, ...]:
    """Return indicators that need each other, in order, or nothing. Their trees must be valid."""
    finished: set[str] = set()
    for name in indicators:
        if circle := _circle_from(indicators, name, (), finished):
            return circle
    return ()


def _circle_from(
    indicators: Indicators, name: str, path: tuple[str, ...], finished: set[str]
) -> tuple[str, ...]:
    if name in path:
        return (*path[path.index(name) :], name)
    if name not in finished and indicators[name].type == EXPRESSION:
        for other in indicators_of(indicator_tree(indicators, name)):
            if circle := _circle_from(indicators, other, (*path, name), finished):
                return circle
    finished.add(name)
    return ()
