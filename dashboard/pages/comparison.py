"""Comparison of operations: curves, different parameters, metrics with the best marked and the difference to one."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dashboard.pages.comparison_metrics import ComparedMetric, compare_metrics
from dashboard.pages.operation_rows import describe
from operations.models import Operation
from operations.presentation.charts import Chart
from operations.presentation.subject import strategy_name
from operations.registered_kinds import all_kinds
from operations.runs.settings import STRATEGY, strategy_values

MAX_OPERATIONS = 100
"""The page reports how many were left out."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    operations: list[Operation]
    columns: list["Column"]
    different: list[Row]
    same: list[Row]
    metrics: list[ComparedMetric]
    charts: list[Chart]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Column:
    """An operation, and the query strings of the links that change the comparison; empty where they would not."""

    operation: Operation
    is_reference: bool
    as_reference: str
    earlier: str
    later: str
    without: str


def load(ids: list[str]) -> list[Operation]:
    """Load the operations that exist, in the order of `ids`, at most MAX_OPERATIONS."""
    unique = list(dict.fromkeys(ids))[:MAX_OPERATIONS]
    operations = Operation.objects.in_bulk(unique)
    return describe(operations[pk] for pk in unique if pk in operations)


def compare(operations: list[Operation], reference: str = "") -> Comparison:
    """Compare the operations with the one whose id is `reference`, by default the first."""
    ids = [operation.pk for operation in operations]
    index = ids.index(reference) if reference in ids else 0
    parameters = _rows([operation.parameters for operation in operations])
    parameters = [
        part for row in parameters for part in (_strategy_rows(row) if row.name == STRATEGY else [row])
    ]
    different = [row for row in parameters if len({repr(value) for value in row.values}) > 1]
    return Comparison(
        operations=operations,
        columns=_columns(operations, index),
        different=different,
        same=[row for row in parameters if row not in different],
        metrics=compare_metrics(operations, index),
        charts=[chart for kind in all_kinds() for chart in kind.comparison_charts(operations)],
        warnings=[warning for kind in all_kinds() for warning in kind.comparison_warnings(operations)],
    )


def _columns(operations: list[Operation], reference: int) -> list[Column]:
    ids = [operation.pk for operation in operations]

    def query(order: list[str], chosen: str = ids[reference]) -> str:
        return urlencode({"operation": order, "reference": chosen}, doseq=True)

    def shift(index: int, step: int) -> str:
        order = [pk for pk in ids if pk != ids[index]]
        order.insert(index + step, ids[index])
        return query(order) if 0 <= index + step < len(ids) else ""

    return [
        Column(
            operation,
            is_reference=index == reference,
            as_reference="" if index == reference else query(ids, operation.pk),
            earlier=shift(index, -1),
            later=shift(index, 1),
            without=query([pk for pk in ids if pk != operation.pk]) if len(ids) > 2 else "",
        )
        for index, operation in enumerate(operations)
    ]


def _rows(mappings: list[dict[str, Any]]) -> list[Row]:
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return [Row(name, [mapping.get(name) for mapping in mappings]) for name in names]


def _strategy_rows(row: Row) -> list[Row]:
    """Return a row per value of the files, like `strategy.training.epochs`; only their name if all are the same."""
    if all(value == row.values[0] for value in row.values):
        return [Row("strategy", [strategy_name(text) for text in row.values])]
    return _rows([strategy_values(text) if isinstance(text, str) else {} for text in row.values])
