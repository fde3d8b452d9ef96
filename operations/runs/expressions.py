"""Filter expressions over runs, such as `sharpe > 0.5 and trades > 30 and tag = fx`.

    expression = conjunction {"or" conjunction}
    conjunction = term {"and" term}
    term = "not" term | "(" expression ")" | name operator value

A value is a number, which may be a percentage, a word, or text in quotes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from django.db.models import Q

from operations.runs.names import NAMES, ValueRefused, condition

MAX_LENGTH, MAX_DEPTH = 500, 20
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<operator><=|>=|!=|[=<>~])|(?P<bracket>[()])|(?P<word>[^\s()=<>!~"']+))"""
)
_KEYWORDS = ("and", "or", "not")


class ExpressionError(Exception):
    """An expression cannot be read. The message is one sentence with the position."""

    def __init__(self, problem: str, position: int, advice: str = "") -> None:
        sentence = f"{problem} at character {position + 1}{f'; {advice}' if advice else ''}"
        super().__init__(sentence if sentence.endswith("?") else f"{sentence}.")
        self.position = position
        """Of the first character concerned, from 0."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """text, operator, bracket, word, or end"""
    text: str
    position: int

    def is_keyword(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parse(expression: str) -> Q:
    """Return the condition on operations. An empty expression selects all. Raises ExpressionError."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(
            f"An expression may have at most {MAX_LENGTH} characters, but goes on", MAX_LENGTH
        )
    if not expression.strip():
        return Q()
    return _Parser(list(_tokens(expression))).parse()


def _tokens(expression: str) -> Iterator[Token]:
    position, end = 0, len(expression.rstrip())
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None or "\x00" in match[0]:
            start = position + len(expression[position:]) - len(expression[position:].lstrip())
            raise ExpressionError(f"Unexpected {expression[start]!r}", start, "text needs two equal quotes")
        assert match.lastgroup is not None, "one of the groups has matched"
        yield Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        position = match.end()
    yield Token("end", "", end)


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def parse(self) -> Q:
        condition = self._expression(0)
        token = self._peek()
        if token.kind != "end":
            raise ExpressionError(
                f"Unexpected {_quote(token)}", token.position, "join conditions with and or or"
            )
        return condition

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _expression(self, depth: int) -> Q:
        condition = self._conjunction(depth)
        while self._peek().is_keyword("or"):
            self._take()
            condition |= self._conjunction(depth)
        return condition

    def _conjunction(self, depth: int) -> Q:
        condition = self._term(depth)
        while self._peek().is_keyword("and"):
            self._take()
            condition &= self._term(depth)
        return condition

    def _term(self, depth: int) -> Q:
        token = self._take()
        if depth > MAX_DEPTH:
            raise ExpressionError(f"More than {MAX_DEPTH} nested parts", token.position)
        if token.is_keyword("not"):
            return ~self._term(depth + 1)
        if token.text == "(" and token.kind == "bracket":
            inside = self._expression(depth + 1)
            closing = self._take()
            if closing.text != ")" or closing.kind != "bracket":
                raise ExpressionError(f"Expected ) instead of {_quote(closing)}", closing.position)
            return inside
        return self._comparison(token)

    def _comparison(self, name: Token) -> Q:
        if name.kind != "word" or name.is_keyword(*_KEYWORDS):
            raise ExpressionError(
                f"Expected a name instead of {_quote(name)}", name.position, "such as sharpe > 0.5"
            )
        if name.text.lower() not in NAMES:
            close = get_close_matches(name.text.lower(), NAMES, n=1)
            advice = f"did you mean {close[0]}?" if close else f"some names are {', '.join(NAMES[:10])}"
            raise ExpressionError(f"Unknown name {_quote(name)}", name.position, advice)
        operator, value = self._take(), self._take()
        if operator.kind != "operator":
            advice = "use =, !=, <, <=, > or >="
            raise ExpressionError(
                f"Expected a comparison instead of {_quote(operator)}", operator.position, advice
            )
        if value.kind not in ("word", "text") or value.is_keyword(*_KEYWORDS):
            raise ExpressionError(f"Expected a value instead of {_quote(value)}", value.position)
        text = value.text[1:-1] if value.kind == "text" else value.text
        try:
            return condition(name.text.lower(), operator.text, text)
        except ValueRefused as refusal:
            place = operator if refusal.concerns_operator else value
            raise ExpressionError(str(refusal), place.position) from refusal


def _quote(token: Token) -> str:
    return repr(token.text[:80]) if token.kind != "end" else "the end"
