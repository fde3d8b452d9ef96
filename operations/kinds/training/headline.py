"""The number by which a training is judged in a list."""

from operations.kind import Headline
from operations.models import Operation
from operations.presentation.numbers import dig, percent, short

# Where the result has it, in order of preference.
SOURCES = (
    ("test accuracy", ("metrics", "test", "accuracy"), percent),
    ("validation accuracy", ("metrics", "validation", "accuracy"), percent),
    ("test R²", ("metrics", "test", "r2"), short),
    ("validation loss", ("metrics", "validation", "loss"), short),
)


def headline(operation: Operation) -> Headline | None:
    for name, path, text in SOURCES:
        value = dig(operation.result, *path)
        if isinstance(value, int | float):
            return Headline(name, text(value))
    return None
