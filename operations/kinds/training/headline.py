"""The main score of a training, for lists."""

from collections.abc import Mapping
from typing import Any

from operations.headline import Headline
from operations.presentation.numbers import dig, percent, short

# In order of preference: name, path in the result, formatter.
SOURCES = (
    ("test accuracy", ("metrics", "test", "accuracy"), percent),
    ("validation accuracy", ("metrics", "validation", "accuracy"), percent),
    ("test R²", ("metrics", "test", "r2"), short),
    ("validation loss", ("metrics", "validation", "loss"), short),
)


def headline(result: Mapping[str, Any]) -> Headline | None:
    for name, path, formatter in SOURCES:
        value = dig(result, *path)
        if isinstance(value, int | float):
            return Headline(name, formatter(value))
    return None
