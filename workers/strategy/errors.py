"""Problems in a strategy file and their positions in its text."""

from dataclasses import dataclass
from typing import NamedTuple

from workers.strategy.quoting import shorten


class Place(NamedTuple):
    """Position in the text, both counted from 1."""

    line: int
    column: int


UnplacedProblem = tuple[str, str]
"""JSON pointer and message, before the position in the text is known."""


@dataclass(frozen=True, slots=True)
class StrategyProblem:
    """`pointer` is a JSON pointer (RFC 6901) into the file; `message` is written for the author of the file."""

    pointer: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {shorten(self.pointer or '/')}: {self.message}"


MOST_ERRORS = 100
"""Errors of one file that are listed: one mistake, repeated by a program, may be in thousands of places."""


class StrategyError(ValueError):
    """The strategy file is invalid; `errors` lists the first problems of `count`."""

    def __init__(self, errors: list[StrategyProblem]) -> None:
        self.errors = tuple(errors[:MOST_ERRORS])
        self.count = len(errors)
        more = [f"and {self.count - MOST_ERRORS} more"] if self.count > MOST_ERRORS else []
        super().__init__("invalid strategy: " + "; ".join([*map(str, self.errors), *more]))


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer to `parts`; the empty string is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
