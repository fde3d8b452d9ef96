"""Parse expressions by operator precedence (Pratt 1973).

From weak to strong: `or`, `and`, `not`, comparisons, `+ -`, `* /`, the sign. A chain such as `30 < rsi < 70` means
`30 < rsi and rsi < 70`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from workers.strategy.expressions.tokens import Token, split
from workers.strategy.expressions.tree import (
    COMPARATORS,
    Call,
    ExpressionError,
    Node,
    Number,
    Operation,
    Reference,
)
from workers.strategy.quoting import quote

MAX_DEPTH = 24
_LOGIC = {"or": 1, "and": 2}
_NOT = 3
_COMPARISON = 4
_ARITHMETIC = {"+": 5, "-": 5, "*": 6, "/": 6}
_SIGN = 7
CACHED_EXPRESSIONS = 512


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse(text: str) -> Node:
    """Return the tree of `text`, with names not yet resolved. Raises `ExpressionError`."""
    if not text.strip():
        raise ExpressionError(0, "the expression is empty")
    parser = _Parser(split(text))
    tree = parser.expression(0)
    if parser.token.kind != "end":
        raise parser.error_here()
    return tree


@dataclass(slots=True)
class _Parser:
    tokens: list[Token]
    position: int = 0
    depth: int = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def next(self) -> Token:
        token = self.token
        self.position += token.kind != "end"
        return token

    def expression(self, weakest: int) -> Node:
        """Parse operators that bind at least as strongly as `weakest`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(self.token.offset, f"nested more than {MAX_DEPTH} levels deep")
        left = self.operand()
        while (strength := self.strength()) is not None and strength >= weakest:
            if strength == _COMPARISON:
                left = self.comparison(left)
            else:
                operator = self.next()
                left = Operation(operator.text, (left, self.expression(strength + 1)), operator.offset)
        self.depth -= 1
        return left

    def strength(self) -> int | None:
        """Return how strongly the operator at the position binds; None without an operator."""
        token = self.token
        if token.kind == "keyword":
            return _LOGIC.get(token.text)
        if token.kind == "symbol":
            return _COMPARISON if token.text in COMPARATORS else _ARITHMETIC.get(token.text)
        return None

    def comparison(self, left: Node) -> Node:
        result: Node | None = None
        while self.strength() == _COMPARISON:
            operator = self.next()
            right = self.expression(_COMPARISON + 1)
            link = Operation(operator.text, (left, right), operator.offset)
            result = link if result is None else Operation("and", (result, link), operator.offset)
            left = right
        assert result is not None
        return result

    def operand(self) -> Node:
        token = self.next()
        match token.kind, token.text:
            case "number", text:
                return _number(text, token.offset)
            case "name", _:
                return self.call(token) if self.is_at("(") else self.reference(token)
            case "keyword", "not":
                return Operation("not", (self.expression(_NOT),), token.offset)
            case "symbol", "-":
                return Operation("negative", (self.expression(_SIGN),), token.offset)
            case "symbol", "(":
                inner = self.expression(0)
                self.close(token)
                return inner
        raise ExpressionError(token.offset, f"a value is missing {_before(token)}")

    def reference(self, token: Token) -> Reference:
        name, dot, part = token.text.partition(".")
        timeframe = self.next().text[1:] if self.token.kind == "timeframe" else None
        return Reference(name, part if dot else None, timeframe, token.offset)

    def call(self, name: Token) -> Call:
        opening = self.next()
        arguments: list[Node] = []
        while not self.is_at(")"):
            arguments.append(self.expression(0))
            if not self.is_at(","):
                break
            self.next()
        self.close(opening)
        return Call(name.text, tuple(arguments), name.offset)

    def is_at(self, symbol: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == symbol

    def close(self, opening: Token) -> None:
        if self.token.kind == "end":
            raise ExpressionError(opening.offset, "this ( is not closed")
        if not self.is_at(")"):
            raise self.error_here()
        self.next()

    def error_here(self) -> ExpressionError:
        token = self.token
        if self.is_at(")"):
            return ExpressionError(token.offset, "this ) closes nothing")
        if token.kind in ("symbol", "timeframe"):
            return ExpressionError(token.offset, f"{quote(token.text)} does not fit here")
        return ExpressionError(token.offset, f"an operator such as and or < is missing {_before(token)}")


def _number(text: str, offset: int) -> Number:
    value = float(text)
    if not math.isfinite(value):
        raise ExpressionError(offset, "this number is too large")
    return Number(value, offset)


def _before(token: Token) -> str:
    return "at the end" if token.kind == "end" else f"before {quote(token.text)}"
