"""Split the text of an expression into tokens."""

import re
from dataclasses import dataclass
from typing import Literal

from workers.strategy.expressions.tree import ExpressionError
from workers.strategy.quoting import quote

MAX_CHARACTERS = 1_000
MAX_TOKENS = 300
"""Bounds the depth of the tree, which all later steps descend recursively."""
KEYWORDS = ("and", "or", "not")

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<timeframe>@[A-Za-z0-9_]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)
    |(?P<symbol><=|>=|==|!=|[-+*/()<>,])
    """,
    re.VERBOSE,
)
_FOREIGN = {"&": "and", "|": "or", "!": "not", "=": "==", "~": "not", "^": "a product such as x * x"}
"""Operators of other languages and the spelling here."""
_CAPITALS = {word.upper() for word in KEYWORDS}

TokenKind = Literal["number", "timeframe", "name", "symbol", "keyword", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    offset: int


def split(text: str) -> list[Token]:
    """Return the tokens, the last of kind `end`. Raises `ExpressionError`."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            0, f"an expression has at most {MAX_CHARACTERS:,} characters, not {len(text):,}"
        )
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise ExpressionError(offset, _unknown_character(text[offset]))
        kind = match.lastgroup
        if kind != "space":
            tokens.append(_token(str(kind), match.group(), offset))
            _check_boundary(text, match)
            if len(tokens) > MAX_TOKENS:
                raise ExpressionError(offset, f"an expression has at most {MAX_TOKENS} words and signs")
        offset = match.end()
    return [*tokens, Token("end", "", len(text.rstrip()))]


def _token(kind: str, text: str, offset: int) -> Token:
    if kind == "name" and text in KEYWORDS:
        return Token("keyword", text, offset)
    if kind == "name" and text in _CAPITALS:
        raise ExpressionError(offset, f"write {text.lower()} in small letters")
    return Token(kind, text, offset)  # type: ignore[arg-type]  # the groups of the pattern are the kinds


def _check_boundary(text: str, match: re.Match[str]) -> None:
    """Refuse `12abc`, `1.2.3` and `a.b.c`, which would split into two tokens."""
    following = text[match.end() : match.end() + 1]
    is_word = match.lastgroup in ("number", "name", "timeframe")
    if is_word and (following == "." or following == "_" or following.isalnum()):
        word = re.match(r"[\w.]+", text[match.start() :])
        written = word.group() if word else match.group()
        raise ExpressionError(match.start(), f"{quote(written)} is neither a number nor a name")


def _unknown_character(character: str) -> str:
    if character in _FOREIGN:
        return f"{quote(character)} has no meaning in an expression; write {_FOREIGN[character]}"
    return f"{quote(character)} has no meaning in an expression"
