"""Compute expressions on whole columns.

A number is missing (NaN) where one of its parts is missing: in the warm-up, before the first bar, or after a division by zero.
A condition is unknown where one of its numbers is missing, inside `not` and `or` too, and an unknown condition counts
as false. So nothing is decided before every value that the condition names exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from workers.strategy.expressions.tree import COMPARATORS, Call, Column, Node, Number, Operation
from workers.strategy.indicators.columns import Floats
from workers.strategy.indicators.sliding import (
    sliding_deviation,
    sliding_highest,
    sliding_lowest,
    sliding_mean,
)

Flags = npt.NDArray[np.bool_]
Values = TypeVar("Values", bound=npt.NDArray[np.generic])
Lookup = Callable[[str], Floats]
"""Returns the column of a name; float64[n]."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """`known`: every number exists. `true` has no meaning where the condition is unknown. bool[n] each."""

    true: Flags
    known: Flags

    @property
    def holds(self) -> Flags:
        return self.true & self.known


_WINDOWS: dict[str, Callable[[Floats, int], Floats]] = {
    "highest": sliding_highest,
    "lowest": sliding_lowest,
    "mean": sliding_mean,
    "std": sliding_deviation,
}
_COMPARISONS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "min": np.minimum, "max": np.maximum}


def evaluate_number(tree: Node, lookup: Lookup, n: int) -> Floats:
    """Return the values of a resolved tree of kind number; float64[n]."""
    with np.errstate(all="ignore"):
        return _Evaluation(lookup, n).column(tree)


def evaluate_condition(tree: Node, lookup: Lookup, n: int) -> Condition:
    """Return the truth of a resolved tree of kind condition at each row."""
    with np.errstate(all="ignore"):
        return _Evaluation(lookup, n).condition(tree)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    lookup: Lookup
    n: int

    def column(self, node: Node) -> Floats:
        values = self.number(node)
        return values if isinstance(values, np.ndarray) and values.ndim else np.full(self.n, values)

    def number(self, node: Node) -> Floats | float:
        """Return a column, or one number for all rows."""
        match node:
            case Number(value=value):
                return value
            case Column(name=name):
                return self.lookup(name)
            case Operation(operator="negative", operands=(operand,)):
                return -self.number(operand)
            case Operation(operator="/", operands=(left, right)):
                return _finite(np.divide(self.number(left), self.number(right)))
            case Operation(operator=operator, operands=(left, right)):
                values: Floats | float = _ARITHMETIC[operator](self.number(left), self.number(right))
                return values
            case Call():
                return self.call(node)
        raise AssertionError(f"not a resolved number: {node!r}")

    def call(self, node: Call) -> Floats:
        first, *rest = (self.column(argument) for argument in node.arguments)
        match node.function:
            case "shift":
                return shift(first, node.window or 0, np.nan)
            case "abs":
                return np.abs(first)
            case "log":
                return _finite(np.log(first))
            case "min" | "max":
                smaller_or_larger: Floats = _ARITHMETIC[node.function](first, rest[0])
                return smaller_or_larger
        assert node.window is not None
        return _WINDOWS[node.function](first, node.window)

    def condition(self, node: Node) -> Condition:
        match node:
            case Operation(operator="not", operands=(operand,)):
                inner = self.condition(operand)
                return Condition(~inner.true, inner.known)
            case Operation(operator="and" | "or" as operator, operands=(left, right)):
                a, b = self.condition(left), self.condition(right)
                true = a.true & b.true if operator == "and" else a.true | b.true
                return Condition(true, a.known & b.known)
            case Operation(operator=operator, operands=(left, right)) if operator in COMPARATORS:
                return self.comparison(operator, left, right)
            case Call(function="shift", arguments=(argument, *_), window=window):
                earlier, bars = self.condition(argument), window or 0
                return Condition(shift(earlier.true, bars, False), shift(earlier.known, bars, False))
            case Call(function=function, arguments=(left, right)):
                return self.crossing(function, left, right)
        raise AssertionError(f"not a resolved condition: {node!r}")

    def comparison(self, operator: str, left: Node, right: Node) -> Condition:
        a, b = self.number(left), self.number(right)
        true, known = _COMPARISONS[operator](a, b), ~(np.isnan(a) | np.isnan(b))
        if true.shape == (self.n,):  # broadcasting takes longer than comparing a few thousand values
            return Condition(true, known)
        return Condition(np.broadcast_to(true, self.n), np.broadcast_to(known, self.n))

    def crossing(self, function: str, left: Node, right: Node) -> Condition:
        after, before = (">", "<=") if function == "crosses_above" else ("<", ">=")
        now, then = self.comparison(after, left, right), self.comparison(before, left, right)
        return Condition(now.true & shift(then.true, 1, False), now.known & shift(then.known, 1, False))


def shift(values: Values, bars: int, before: float | bool) -> Values:
    """Return the values of `bars` rows earlier; `before` in the first rows."""
    if bars == 0:
        return values
    shifted: Values = np.empty_like(values)
    shifted[:bars] = before
    shifted[bars:] = values[:-bars]
    return shifted


def _finite(values: Floats) -> Floats:
    """Replace infinite results of a division or a logarithm, which would win every comparison, by missing ones."""
    return np.where(np.isinf(values), np.nan, values)
