"""Check a tree: names, numbers against conditions, arguments and windows. References become columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from workers.strategy.catalog import nearest_name
from workers.strategy.expressions.functions import CLOCK, FUNCTIONS, MAX_WINDOW, Function
from workers.strategy.expressions.tree import (
    COMPARATORS,
    Call,
    Column,
    ExpressionError,
    Kind,
    Node,
    Number,
    Operation,
    Reference,
)
from workers.strategy.quoting import quote

_ADVICE: Mapping[Kind, str] = {
    "condition": "compare it, for example with > 0",
    "number": "it is true or false and has no value",
}


class Scope(Protocol):
    """The names that an expression may use."""

    @property
    def constants(self) -> Mapping[str, float]: ...

    def column(self, reference: Reference) -> str:
        """Return the name of the column that `reference` means. Raises `ExpressionError`."""
        ...


def resolve(tree: Node, scope: Scope, expected: Kind) -> Node:
    """Return the tree with columns for references and numbers for constants. Raises `ExpressionError`."""
    resolved, kind = _resolve(tree, scope)
    if kind != expected:
        subject = "a decision needs a condition" if expected == "condition" else "an indicator needs a number"
        raise ExpressionError(0, f"{subject}, but this is a {kind}; {_ADVICE[expected]}")
    return resolved


def _resolve(node: Node, scope: Scope) -> tuple[Node, Kind]:
    match node:
        case Number() | Column():
            return node, "number"
        case Reference(name=name, part=None, timeframe=None, offset=offset) if name in scope.constants:
            return Number(scope.constants[name], offset), "number"
        case Reference(offset=offset):
            return Column(scope.column(node), offset), "number"
        case Operation():
            return _resolve_operation(node, scope)
        case Call():
            return _resolve_call(node, scope)


def _resolve_operation(node: Operation, scope: Scope) -> tuple[Node, Kind]:
    of_conditions = node.operator in ("and", "or", "not")
    expected: Kind = "condition" if of_conditions else "number"
    operands = tuple(_expect(operand, expected, node.operator, scope) for operand in node.operands)
    is_condition = of_conditions or node.operator in COMPARATORS
    return replace(node, operands=operands), "condition" if is_condition else "number"


def _expect(node: Node, expected: Kind, user: str, scope: Scope) -> Node:
    resolved, kind = _resolve(node, scope)
    if kind != expected:
        sign = "-" if user == "negative" else user
        message = f"{sign} needs a {expected} here, but this is a {kind}; {_ADVICE[expected]}"
        raise ExpressionError(_start(node), message)
    return resolved


def _start(node: Node) -> int:
    """Return the offset of the first character of a node, apart from parentheses."""
    match node:
        case Operation(operands=(left, _)):
            return _start(left)
    return node.offset


def _resolve_call(node: Call, scope: Scope) -> tuple[Node, Kind]:
    function = FUNCTIONS.get(node.function)
    if function is None:
        raise ExpressionError(node.offset, unknown_name("function", node.function, list(FUNCTIONS)))
    expected = len(function.arguments) + function.has_window
    if len(node.arguments) != expected:
        count = f"{expected} {'value' if expected == 1 else 'values'} as in {function.signature}"
        raise ExpressionError(node.offset, f"{function.name} takes {count}, not {len(node.arguments)}")
    if function.name in CLOCK:
        return Column(f"{function.name}()", node.offset), "number"
    values, returns = [], function.returns
    for argument, kind in zip(node.arguments, function.arguments, strict=False):
        if kind is None:
            value, returns = _resolve(argument, scope)
        else:
            value = _expect(argument, kind, function.name, scope)
        values.append(value)
    assert returns is not None
    window = _window(function, node.arguments[-1], scope) if function.has_window else None
    return replace(node, arguments=tuple(values), window=window), returns


def _window(function: Function, node: Node, scope: Scope) -> int:
    resolved = _resolve(node, scope)[0]
    match resolved:
        case Number(value=value) if value == int(value) and value >= (function.smallest_window or 0):
            if value <= MAX_WINDOW:
                return int(value)
            message = f"{function.name} reaches back at most {MAX_WINDOW:,} bars, not {value:,.0f}"
            raise ExpressionError(node.offset, message)
        case Operation(operator="negative") if function.name == "shift":
            message = (
                "shift looks back only: n is a whole number from 0, because later bars are not known yet"
            )
            raise ExpressionError(_start(node), message)
    message = f"n of {function.signature} must be a whole number from {function.smallest_window}, or a constant of the file"
    raise ExpressionError(_start(node), message)


def unknown_name(kind: str, name: str, valid: Sequence[str]) -> str:
    """Return the message for a name that does not exist, with the nearest valid one."""
    near = nearest_name(name, list(valid))
    if near:
        return f"no {kind} is named {quote(name)}; did you mean {near}?"
    listed = ", ".join(valid[:_LISTED]) + (", …" if len(valid) > _LISTED else "")
    return f"no {kind} is named {quote(name)}; " + (
        f"choose from {listed}" if valid else "the file defines none"
    )


_LISTED = 12
