"""Check the expressions of a strategy: conditions, indicators of type `expression`, and the names that they use."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from workers.strategy.definition import Strategy
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.expressions.functions import FIELDS, FUNCTIONS
from workers.strategy.expressions.tokens import KEYWORDS
from workers.strategy.expressions.tree import Column, ExpressionError, Node, walk
from workers.strategy.indicator_catalog import EXPRESSION
from workers.strategy.indicator_expressions import expression_of, find_circle, indicator_tree
from workers.strategy.rules_strategy import RulesStrategy


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """`offset` counts characters of `expression`, the text at `pointer`."""

    pointer: str
    expression: str
    offset: int
    message: str


def find_expression_problems(strategy: Strategy) -> list[ExpressionProblem]:
    """Return a problem for each expression that is invalid; those of conditions only if all indicators are valid."""
    problems: list[ExpressionProblem] = []
    for name, indicator in strategy.indicators.items():
        if indicator.type == EXPRESSION:
            at = pointer("indicators", name, "expression")
            build = partial(indicator_tree, strategy.indicators, name)
            problems += _problems_of(at, expression_of(indicator), build)
    if isinstance(strategy, RulesStrategy) and not problems:
        for name, text in strategy.decisions.expressions.items():
            problems += _problems_of(
                pointer("decisions", name), text, partial(strategy.resolve_condition, text)
            )
    return problems


def _problems_of(at: str, text: str, build: Callable[[], Node]) -> Iterator[ExpressionProblem]:
    try:
        tree = build()
    except ExpressionError as error:
        yield ExpressionProblem(at, text, error.offset, error.message)
        return
    if not any(isinstance(node, Column) for node in walk(tree)):
        yield ExpressionProblem(at, text, 0, "it names no value of the bars, so it is the same at every bar")


def name_problems(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Reject names that would mean two things in an expression, and indicators that need each other."""
    has_expressions = any(indicator.type == EXPRESSION for indicator in strategy.indicators.values())
    constants = strategy.constants if isinstance(strategy, RulesStrategy) else {}
    if not has_expressions and not isinstance(strategy, RulesStrategy):
        return
    taken = {**dict.fromkeys(FIELDS, "a field of the bars"), **dict.fromkeys(FUNCTIONS, "a function")}
    taken |= dict.fromkeys(KEYWORDS, "a word of expressions")
    sections: dict[str, Iterable[str]] = {
        "indicators": strategy.indicators,
        "fuzzy_sets": strategy.fuzzy_sets,
        "constants": constants,
    }
    for section, names in sections.items():
        for name in names:
            if name in taken:
                yield pointer(section, name), f"{name} is already {taken[name]}; choose another name"
            taken.setdefault(name, f"in {section}")


def circle_problems(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Reject indicators that need each other; their expressions must be valid."""
    if circle := find_circle(strategy.indicators):
        message = f"these indicators need each other: {' needs '.join(circle)}"
        yield pointer("indicators", circle[0]), message
