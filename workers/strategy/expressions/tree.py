"""The tree of an expression. Offsets count characters from the start of the text, from 0."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "condition"]
Comparator = Literal["<", "<=", ">", ">=", "==", "!="]

COMPARATORS: tuple[Comparator, ...] = ("<", "<=", ">", ">=", "==", "!=")


class ExpressionError(ValueError):
    """The expression is invalid at `offset`."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    offset: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A name as it is written: `close`, `macd_12.signal` or, of another timeframe, `sma_20@1w`."""

    name: str
    part: str | None
    timeframe: str | None
    offset: int

    def __str__(self) -> str:
        return (
            self.name
            + (f".{self.part}" if self.part is not None else "")
            + (f"@{self.timeframe}" if self.timeframe is not None else "")
        )


@dataclass(frozen=True, slots=True)
class Column:
    """A resolved reference: the name of a column of values."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Operation:
    """`operator` is `and`, `or`, `not`, a comparator, `+`, `-`, `*`, `/` or `negative`."""

    operator: str
    operands: "tuple[Node, ...]"
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """`window` is the number of bars of functions that have one; it is set when the tree is resolved."""

    function: str
    arguments: "tuple[Node, ...]"
    offset: int
    window: int | None = None


Node = Number | Reference | Column | Operation | Call


def children(node: Node) -> "tuple[Node, ...]":
    match node:
        case Operation():
            return node.operands
        case Call():
            return node.arguments
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)
