"""Results as a few lines of text, for the end of `--wait` and for programs that print one."""

from collections.abc import Mapping
from typing import Any

from operations.kind import Kind
from operations.models import Operation
from operations.presentation.shown_results import ShownValue, shorten, shown_values
from operations.registered_kinds import kind_of

MAX_VALUES = 100
MAX_TEXT = 200


def printed_values(kind: Kind, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return title and text of the values, at most MAX_VALUES with one line each; of a run only its metrics."""
    metrics = result.get("metrics")
    values = (
        _metrics(kind, metrics) if kind.is_run and isinstance(metrics, dict) else kind.shown_values(result)
    )
    printed = [
        (shorten(value.title, MAX_TEXT), shorten(value.text, MAX_TEXT)) for value in values[:MAX_VALUES]
    ]
    omitted = len(values) - len(printed)
    return [*printed, ("Further values", str(omitted))] if omitted else printed


def result_lines(operation: Operation) -> list[str]:
    values = printed_values(kind_of(operation.operation_type), operation.result or {})
    return [f"{title}: {text}" for title, text in values]


def _metrics(kind: Kind, metrics: Mapping[str, Any]) -> list[ShownValue]:
    styles = [(value, kind.metric_style(value.name)) for value in shown_values(metrics)]
    return [
        ShownValue(value.name, style.title, style.format(value.value), value.value) for value, style in styles
    ]
