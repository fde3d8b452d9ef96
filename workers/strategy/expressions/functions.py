"""The functions and the fields of bars that expressions may use. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.strategy.catalog import PRICE_SOURCES
from workers.strategy.expressions.tree import Kind

MAX_WINDOW = 5_000
FIELDS = PRICE_SOURCES
"""Values of a bar that have a name."""


@dataclass(frozen=True, slots=True)
class Function:
    """`arguments` are the kinds of its values; None accepts both kinds and returns the same one."""

    name: str
    signature: str
    meaning: str
    arguments: tuple[Kind | None, ...]
    returns: Kind | None
    smallest_window: int | None = None
    """Of functions whose last argument is a number of bars; None for the others."""
    adds_lookback: int = 0
    """Earlier bars that it needs, apart from those of its window."""

    @property
    def has_window(self) -> bool:
        return self.smallest_window is not None


_ONE: tuple[Kind | None, ...] = ("number",)
_TWO: tuple[Kind | None, ...] = ("number", "number")

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Function("crosses_above", "crosses_above(a, b)", "a > b, and a <= b one bar earlier", _TWO, "condition", adds_lookback=1),
        Function("crosses_below", "crosses_below(a, b)", "a < b, and a >= b one bar earlier", _TWO, "condition", adds_lookback=1),
        Function("shift", "shift(x, n)", "x of n bars ago, n from 0; x may be a condition", (None,), None, 0),
        Function("highest", "highest(x, n)", "Largest of the last n values, this bar included", _ONE, "number", 1),
        Function("lowest", "lowest(x, n)", "Smallest of the last n values, this bar included", _ONE, "number", 1),
        Function("mean", "mean(x, n)", "Mean of the last n values, this bar included", _ONE, "number", 1),
        Function("std", "std(x, n)", "Sample standard deviation (n - 1) of the last n values, n from 2", _ONE, "number", 2),
        Function("abs", "abs(x)", "Absolute value", _ONE, "number"),
        Function("log", "log(x)", "Natural logarithm; no value at or below 0", _ONE, "number"),
        Function("min", "min(a, b)", "The smaller value", _TWO, "number"),
        Function("max", "max(a, b)", "The larger value", _TWO, "number"),
        Function("hour", "hour()", "Hour of the bar's opening time, 0 to 23, UTC", (), "number"),
        Function("weekday", "weekday()", "Day of the bar's opening time, Monday 0 to Sunday 6, UTC", (), "number"),
    )
}  # fmt: skip

CLOCK = ("hour", "weekday")
"""Functions that read only the time of the bar."""


def functions_as_data() -> list[dict[str, Any]]:
    """Return name, signature and meaning of each function as JSON-ready data, for the API and the pages."""
    return [
        {"name": function.name, "signature": function.signature, "meaning": function.meaning}
        for function in FUNCTIONS.values()
    ]
