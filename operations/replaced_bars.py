"""The bars that results were computed from, and whether an import has replaced them since.

Every operation keeps the file of each series that it read as an input named `bars/SYMBOL/TIMEFRAME.parquet`. A series has
changed since a result if its current file is another one: files are named by the hash of their content.
"""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Concat

from operations.market_data import input_name
from operations.models import Artifact, MarketData, Operation
from operations.registered_kinds import all_kinds
from operations.states import Status


def bars_changed_since(operation: Operation) -> list[MarketData]:
    """Return the series that the operation has read in another version than the current one."""
    name = Concat(Value("bars/"), "symbol", Value("/"), "timeframe", Value(".parquet"))
    read_otherwise = Artifact.objects.filter(
        operation=operation, role=Artifact.Role.INPUT, name=OuterRef("input_name")
    ).exclude(file=OuterRef("file"))
    return list(MarketData.objects.annotate(input_name=name).filter(Exists(read_otherwise)))


@dataclass(frozen=True, slots=True)
class Affected:
    """Results that an import of these bars leaves behind; `newest` are the first `LISTED` of `count`."""

    symbol: str
    timeframe: str
    count: int
    newest: list[Operation]

    @property
    def more(self) -> int:
        return self.count - len(self.newest)


LISTED = 20


def results_of_current_bars(symbol: str, timeframe: str) -> Affected:
    """Return the results that an import with other bars would leave behind."""
    current = MarketData.objects.filter(symbol=symbol, timeframe=timeframe).values("file")[:1]
    return _results_of(symbol, timeframe, _inputs(symbol, timeframe).filter(file__in=current))


def results_of_former_bars(symbol: str, timeframe: str) -> Affected:
    """Return the results that were computed from other bars than the current ones."""
    current = MarketData.objects.filter(symbol=symbol, timeframe=timeframe).values("file")[:1]
    is_stored = Exists(MarketData.objects.filter(symbol=symbol, timeframe=timeframe))
    return _results_of(
        symbol, timeframe, _inputs(symbol, timeframe).filter(is_stored).exclude(file__in=current)
    )


def _inputs(symbol: str, timeframe: str) -> QuerySet[Artifact]:
    return Artifact.objects.filter(role=Artifact.Role.INPUT, name=input_name(symbol, timeframe))


def _results_of(symbol: str, timeframe: str, inputs: QuerySet[Artifact]) -> Affected:
    runs = [kind.operation_type for kind in all_kinds() if kind.is_run]
    results = Operation.objects.filter(
        pk__in=inputs.order_by().values("operation"), operation_type__in=runs, status=Status.COMPLETED
    )
    newest = results.order_by("-completed_at").defer("result", "error_traceback")[:LISTED]
    return Affected(symbol, timeframe, results.count(), list(newest))
