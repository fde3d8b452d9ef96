"""What is wrong with a strategy file, and where."""

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Position in the text, both counted from 1."""

    line: int
    column: int


UnplacedProblem = tuple[str, str]
"""JSON pointer and message, before the position in the text is known."""


@dataclass(frozen=True, slots=True)
class StrategyProblem:
    """`pointer` is a JSON pointer (RFC 6901) into the file; `message` is a sentence for its author."""

    pointer: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.pointer or '/'}: {self.message}"


class StrategyError(ValueError):
    """The strategy file is refused; `errors` says everything that is wrong with it."""

    def __init__(self, errors: list[StrategyProblem]) -> None:
        self.errors = tuple(errors)
        super().__init__("the strategy is refused: " + "; ".join(str(error) for error in self.errors))


def pointer(*parts: str | int) -> str:
    """JSON pointer to `parts`; empty for the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
