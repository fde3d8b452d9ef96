"""Coverage and quality of market data."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from operations import replaced_bars
from operations.models import MarketData, Operation
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import kind_of
from operations.replaced_bars import Affected
from operations.states import Status


@dataclass(frozen=True, slots=True)
class Coverage:
    data: MarketData
    start: float
    """as a share of the time span of all data"""
    end: float
    """likewise"""

    @property
    def label(self) -> str:
        return f"{self.data.symbol} from {self.data.start:%Y-%m-%d} to {self.data.end:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Span:
    rows: list[Coverage]
    begins: datetime | None
    ends: datetime | None


def coverage(data: Iterable[MarketData]) -> Span:
    """Locate each series within the time span of all of them."""
    rows = list(data)
    if not rows:
        return Span([], None, None)
    begins, ends = min(row.start for row in rows), max(row.end for row in rows)
    length = max(ends - begins, timedelta(seconds=1))
    return Span(
        [Coverage(row, (row.start - begins) / length, (row.end - begins) / length) for row in rows],
        begins,
        ends,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    value: Any
    is_trouble: bool
    is_check: bool
    """whether it is a count that should be zero"""


# Counts that should be zero.
CHECKS = {"warnings", "gaps", "spikes", "missing", "zero_volume", "suspected_splits", "duplicates"}


def quality(data: MarketData) -> list[Finding]:
    """List the figures of the quality report; a list that is not of texts is shown as its length."""
    findings = []
    for name, value in data.quality.items():
        are_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        figure = len(value) if isinstance(value, list) and not are_texts else value
        is_check = name in CHECKS
        findings.append(Finding(name, figure, is_check and bool(figure), is_check))
    return findings


def affected_by_import(symbol: str, timeframe: str) -> Affected:
    """Return the results that an import of these bars, not yet confirmed, would leave behind."""
    return _with_subjects(replaced_bars.results_of_current_bars(symbol, timeframe))


def affected_by(operation: Operation) -> Affected | None:
    """Return the results that a completed import has left behind; None if the operation is not one."""
    if operation.status != Status.COMPLETED or not kind_of(operation.operation_type).imports_market_data:
        return None
    symbol, timeframe = (str(operation.parameters.get(name, "")) for name in ("symbol", "timeframe"))
    return _with_subjects(replaced_bars.results_of_former_bars(symbol, timeframe))


def _with_subjects(affected: Affected) -> Affected:
    strategies = strategies_of_models(affected.newest)
    for row in affected.newest:
        row.about = subject(row, strategies)  # type: ignore[attr-defined]  # read only by templates
    return affected
