"""Evaluate simple arithmetic over named numbers, so that the catalog can define a warm-up as data."""

import ast
from collections.abc import Mapping
from functools import cache

_FUNCTIONS = {"max": max, "min": min}


def evaluate(formula: str, names: Mapping[str, float]) -> float:
    """Return the value of `formula` (+, -, *, max, min, numbers and `names`).

    Raises `ValueError` for anything else and `KeyError` for an unknown name.
    """
    return _value(_parse(formula), names)


@cache
def _parse(formula: str) -> ast.expr:
    return ast.parse(formula, mode="eval").body


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, names) + _value(right, names)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, names) - _value(right, names)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, names) * _value(right, names)
        case ast.Call(func=ast.Name(id=("max" | "min") as function), args=arguments):
            return _FUNCTIONS[function](*(_value(argument, names) for argument in arguments))
    raise ValueError(f"not a warm-up formula: {ast.unparse(node)}")
