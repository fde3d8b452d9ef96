"""The parameters of a strategy that a study can search, with a range to start from."""

from dataclasses import dataclass
from typing import Any

from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError
from workers.studies.pointers import all_pointers, value_at

SECTIONS = ("/indicators/", "/model/architecture/", "/decisions/", "/training/")
MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Searchable:
    pointer: str
    value: Any
    line: str
    """As `search.parameters` contains it."""


def searchable(strategy_yaml: str) -> list[Searchable]:
    """Return the numbers and switches of a strategy; none while its text is not a document."""
    try:
        values = read_document(strategy_yaml).data
    except StrategyError:
        return []
    if not isinstance(values, dict):
        return []
    found = []
    for pointer in all_pointers(values):
        value = value_at(values, pointer)
        if pointer.startswith(SECTIONS) and isinstance(value, bool | int | float):
            found.append(Searchable(pointer, value, f"    {pointer}: {choices_of(value)}"))
    return found[:MAX_SHOWN]


def choices_of(value: bool | float) -> str:
    """Return a range from half the value to twice the value; whole numbers stay whole."""
    if isinstance(value, bool):
        return "{choices: [true, false]}"
    if value == 0:
        return "{choices: [0]}"
    if isinstance(value, int):
        low, high = sorted((value // 2 or 1, value * 2))
        return f"{{range: [{low}, {high}]}}"
    ends = sorted((value / 2, value * 2))
    return f"{{range: [{ends[0]:.6g}, {ends[1]:.6g}]}}"
