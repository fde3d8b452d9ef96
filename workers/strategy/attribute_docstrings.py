"""The docstrings below the attributes of classes, read from the source only when somebody asks for them."""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


def attribute_docstrings(cls: type) -> Mapping[str, str]:
    """Return attribute name -> docstring for the annotated attributes of a class at the top level of a module.

    Those of its bases are not included. Raises OSError if the source is not available.
    """
    return _of_module(cls.__module__).get(cls.__name__, {})


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Parse a module once, for all its classes."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {
        node.name: dict(_find_docstrings(node.body)) for node in tree.body if isinstance(node, ast.ClassDef)
    }


def _find_docstrings(body: list[ast.stmt]) -> list[tuple[str, str]]:
    return [
        (attribute.target.id, inspect.cleandoc(text.value.value))
        for attribute, text in pairwise(body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
