"""What market data there is, how good it is, and whether anything still needs it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from operations.models import MarketData


@dataclass(frozen=True, slots=True)
class Coverage:
    data: MarketData
    start: float
    """shares of the span of all data, for the bar"""
    end: float

    @property
    def label(self) -> str:
        return f"{self.data.symbol} from {self.data.start:%Y-%m-%d} to {self.data.end:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Span:
    rows: list[Coverage]
    begins: datetime | None
    ends: datetime | None


def coverage(data: Iterable[MarketData]) -> Span:
    """Each symbol's range as a part of the whole range that any of them covers."""
    rows = list(data)
    if not rows:
        return Span([], None, None)
    begins, ends = min(row.start for row in rows), max(row.end for row in rows)
    whole = max(ends - begins, timedelta(seconds=1))
    return Span(
        [Coverage(row, (row.start - begins) / whole, (row.end - begins) / whole) for row in rows],
        begins,
        ends,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    value: Any
    is_trouble: bool
    is_check: bool
    """a count that should be zero"""


# Counts that are worth a look when they are not zero.
TROUBLES = {"gaps", "spikes", "missing", "zero_volume", "suspected_splits", "duplicates"}


def quality(data: MarketData) -> list[Finding]:
    """The quality report's figures, one a line; lists are counted."""
    found = []
    for name, value in data.quality.items():
        figure = len(value) if isinstance(value, list) else value
        is_check = name in TROUBLES
        found.append(Finding(name, figure, is_check and bool(figure), is_check))
    return found
