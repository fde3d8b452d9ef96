"""Conditions of `where`: comparisons of searched parameters, such as `/indicators/fast/period < 0.5 * /training/epochs`.

The text is parsed to a checked tree of closures; nothing is evaluated as Python. Spaces separate operators from pointers.
"""

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from workers.strategy.catalog import nearest_name
from workers.strategy.quoting import quote, shorten
from workers.studies.search_section import Point

Expression = Callable[[Point], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)|(?P<pointer>/[^\s()]+)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign><=|>=|==|!=|<|>|\+|-|\*|\(|\))|(?P<word>[A-Za-z]+))"
)
_COMPARISONS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_MAX_CHARACTERS = 500


class BadCondition(ValueError):
    """A condition cannot be read, or cannot be applied to the values of its parameters."""


@dataclass(frozen=True, slots=True)
class Condition:
    text: str
    pointers: frozenset[str]
    """The parameters that it reads."""
    _expression: Expression

    def holds(self, point: Point) -> bool:
        """Return whether the point meets the condition. Raises BadCondition if its values cannot be compared."""
        try:
            return bool(self._expression(point))
        except TypeError:
            values = ", ".join(f"{name} = {quote(point[name])}" for name in sorted(self.pointers))
            raise BadCondition(f"{quote(self.text)} cannot compare {shorten(values)}") from None


def parse_condition(text: str, pointers: Collection[str]) -> Condition:
    """Parse one condition over the parameters `pointers`. Raises BadCondition."""
    if len(text) > _MAX_CHARACTERS:
        raise BadCondition(f"a condition may have at most {_MAX_CHARACTERS} characters, not {len(text)}")
    parser = _Parser(_tokens(text), pointers)
    expression = parser.either()
    if parser.position < len(parser.tokens):
        raise BadCondition(f"{quote(parser.tokens[parser.position][1])} is not expected in {quote(text)}")
    return Condition(text, frozenset(parser.used), expression)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadCondition(f"{quote(text[position:].strip()[:1])} is not valid in {quote(text)}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    if not tokens:
        raise BadCondition("the condition is empty")
    return tokens


@dataclass(slots=True)
class _Parser:
    """Recursive descent: or, and, not, comparison, sum, product, value."""

    tokens: list[tuple[str, str]]
    pointers: Collection[str]
    position: int = 0
    used: set[str] = field(default_factory=set)

    def take(self, *texts: str) -> str | None:
        """Consume the next token if it is one of `texts`."""
        if self.position < len(self.tokens) and self.tokens[self.position][1] in texts:
            self.position += 1
            return self.tokens[self.position - 1][1]
        return None

    def either(self) -> Expression:
        left = self.both()
        while self.take("or"):
            left = _combine(lambda a, b: a or b, left, self.both())
        return left

    def both(self) -> Expression:
        left = self.negation()
        while self.take("and"):
            left = _combine(lambda a, b: a and b, left, self.negation())
        return left

    def negation(self) -> Expression:
        if self.take("not"):
            inner = self.negation()
            return lambda point: not inner(point)
        return self.comparison()

    def comparison(self) -> Expression:
        left = self.sum()
        if sign := self.take(*_COMPARISONS):
            return _combine(_comparing(sign), left, self.sum())
        return left

    def sum(self) -> Expression:
        left = self.product()
        while sign := self.take("+", "-"):
            left = _combine(_calculating(sign), left, self.product())
        return left

    def product(self) -> Expression:
        left = self.value()
        while sign := self.take("*"):
            left = _combine(_calculating(sign), left, self.value())
        return left

    def value(self) -> Expression:
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                raise BadCondition("a ')' is missing")
            return inner
        if self.position == len(self.tokens):
            raise BadCondition("the condition ends where a parameter or a number is expected")
        kind, text = self.tokens[self.position]
        self.position += 1
        match kind:
            case "pointer":
                return self._parameter(text)
            case "number":
                number = float(text)
                return lambda point: number
            case "text":
                return lambda point: text[1:-1]
            case "word" if text in ("null", "true", "false"):
                constant = {"null": None, "true": True, "false": False}[text]
                return lambda point: constant
        raise BadCondition(f"{quote(text)} is not expected here; write pointers, numbers, and, or, not")

    def _parameter(self, name: str) -> Expression:
        if name not in self.pointers:
            near = nearest_name(name, list(self.pointers))
            hint = f"did you mean {near}?" if near else "a condition may use only searched parameters"
            raise BadCondition(f"{quote(name)} is not a parameter of this search; {hint}")
        self.used.add(name)
        return lambda point: point[name]


def _combine(join: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    return lambda point: join(left(point), right(point))


def _comparing(sign: str) -> Callable[[Any, Any], bool]:
    """Return the comparison; nothing is neither above nor below a number."""
    compare = _COMPARISONS[sign]
    if sign in ("==", "!="):
        return lambda a, b: bool(compare(a, b))
    return lambda a, b: a is not None and b is not None and bool(compare(a, b))


def _calculating(sign: str) -> Callable[[Any, Any], Any]:
    calculate = _ARITHMETIC[sign]

    def apply(a: Any, b: Any) -> Any:
        if isinstance(a, str | tuple | list) or isinstance(b, str | tuple | list):
            raise TypeError("only numbers can be added")
        return None if a is None or b is None else calculate(a, b)

    return apply
