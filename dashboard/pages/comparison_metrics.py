"""Metrics of several operations as rows, in the order and units of their kinds."""

from dataclasses import dataclass

from operations.kind import kind_of
from operations.models import Operation
from operations.presentation.metrics import MetricStyle, best_values


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    name: str
    """`sharpe`, or dotted: `test.accuracy`"""
    title: str
    texts: list[str]
    best: frozenset[int]
    """indices of the best value, several if equal"""


def compare_metrics(operations: list[Operation]) -> list[ComparedMetric]:
    values = [_numbers(operation) for operation in operations]
    styles: dict[str, MetricStyle] = {}
    for operation, numbers in zip(operations, values, strict=True):
        kind = kind_of(operation.operation_type)
        for name in numbers:
            styles.setdefault(name, kind.metric_style(name))
    names = sorted(styles, key=lambda name: styles[name].rank)
    return [_row(name, styles[name], [numbers.get(name) for numbers in values]) for name in names]


def _numbers(operation: Operation) -> dict[str, float]:
    """Return numeric metrics by dotted name."""
    flat: dict[str, float] = {}
    for name, value in ((operation.result or {}).get("metrics") or {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items() if isinstance(inner, int | float)}
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _row(name: str, style: MetricStyle, values: list[float | None]) -> ComparedMetric:
    return ComparedMetric(
        name, style.title, [style.format(value) for value in values], best_values(name, values)
    )
