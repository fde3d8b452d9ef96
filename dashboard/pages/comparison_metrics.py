"""Metrics of several operations as rows, in the order and units of their kinds."""

from dataclasses import dataclass

from operations.models import Operation
from operations.presentation.metrics import MetricStyle, best_values
from operations.registered_kinds import kind_of


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    name: str
    """`sharpe`, or dotted: `test.accuracy`"""
    title: str
    texts: list[str]
    differences: list[str]
    """from the reference; empty for the reference, and where a value is missing"""
    best: frozenset[int]
    """indices of the best value, several if equal"""

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Value and difference of each operation."""
        return list(zip(self.texts, self.differences, strict=True))


def compare_metrics(operations: list[Operation], reference: int = 0) -> list[ComparedMetric]:
    """Return the metrics with their differences from the operation with the index `reference`."""
    values = [_numbers(operation) for operation in operations]
    styles: dict[str, MetricStyle] = {}
    for operation, numbers in zip(operations, values, strict=True):
        kind = kind_of(operation.operation_type)
        for name in numbers:
            styles.setdefault(name, kind.metric_style(name))
    names = sorted(styles, key=lambda name: styles[name].rank)
    return [_row(name, styles[name], [numbers.get(name) for numbers in values], reference) for name in names]


def _numbers(operation: Operation) -> dict[str, float]:
    """Return numeric metrics by dotted name."""
    flat: dict[str, float] = {}
    for name, value in ((operation.result or {}).get("metrics") or {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items() if isinstance(inner, int | float)}
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _row(name: str, style: MetricStyle, values: list[float | None], reference: int) -> ComparedMetric:
    return ComparedMetric(
        name,
        style.title,
        [style.format(value) for value in values],
        [_difference(style, value, values[reference]) for value in values],
        best_values(name, values),
    )


def _difference(style: MetricStyle, value: float | None, reference: float | None) -> str:
    if value is None or reference is None or value == reference:
        return ""
    difference = value - reference
    return f"{'+' if difference > 0 else ''}{style.format(difference)}"
