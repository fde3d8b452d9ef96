"""Comparison of two to ten operations: different parameters, metrics with the best marked, curves."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dashboard.pages.comparison_metrics import ComparedMetric, compare_metrics
from dashboard.pages.operation_rows import describe
from operations.kind import all_kinds
from operations.models import Operation
from operations.presentation.charts import Chart
from operations.presentation.subject import strategy_name
from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError

MAX_OPERATIONS = 10
STRATEGY = "strategy_yaml"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    operations: list[Operation]
    different: list[Row]
    same: list[Row]
    metrics: list[ComparedMetric]
    charts: list[Chart]
    warnings: list[str]


def load(ids: list[str]) -> list[Operation]:
    """Load the operations that exist, in the order of `ids`."""
    unique = list(dict.fromkeys(ids))[:MAX_OPERATIONS]
    operations = Operation.objects.in_bulk(unique)
    return describe(operations[pk] for pk in unique if pk in operations)


def compare(operations: list[Operation]) -> Comparison:
    parameters = _rows([operation.parameters for operation in operations])
    parameters = [
        part for row in parameters for part in (_strategy_rows(row) if row.name == STRATEGY else [row])
    ]
    different = [row for row in parameters if len({repr(value) for value in row.values}) > 1]
    return Comparison(
        operations=operations,
        different=different,
        same=[row for row in parameters if row not in different],
        metrics=compare_metrics(operations),
        charts=[chart for kind in all_kinds() for chart in kind.comparison_charts(operations)],
        warnings=[warning for kind in all_kinds() for warning in kind.comparison_warnings(operations)],
    )


def _rows(mappings: list[dict[str, Any]]) -> list[Row]:
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return [Row(name, [mapping.get(name) for mapping in mappings]) for name in names]


def _strategy_rows(row: Row) -> list[Row]:
    """Return a row per value of the files, like `strategy.training.epochs`; only their name if all are the same."""
    if all(value == row.values[0] for value in row.values):
        return [Row("strategy", [strategy_name(text) for text in row.values])]
    return _rows([_values_of(text) if isinstance(text, str) else {} for text in row.values])


@lru_cache(maxsize=128)
def _values_of(text: str) -> dict[str, Any]:
    """Cached: parsing takes some milliseconds, and the same few files are compared repeatedly."""
    try:
        return dict(_values("strategy", read_document(text).data))
    except StrategyError:
        return {"strategy": text}


def _values(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(data, dict):
        yield name, data
        return
    for key, value in data.items():
        yield from _values(f"{name}.{key}", value)
