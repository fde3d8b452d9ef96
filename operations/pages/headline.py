"""The one number by which an operation is judged in a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from operations.models import Operation


@dataclass(frozen=True, slots=True)
class Headline:
    name: str
    value: float
    is_share: bool
    """A fraction, to be shown in per cent."""


def _dig(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


# Where each kind keeps its number, in order of preference.
SOURCES: dict[str, tuple[tuple[str, tuple[str, ...], bool], ...]] = {
    "backtesting": (("return", ("metrics", "total_return"), True),),
    "training": (
        ("test accuracy", ("metrics", "test", "accuracy"), True),
        ("validation accuracy", ("metrics", "validation", "accuracy"), True),
        ("test R²", ("metrics", "test", "r2"), False),
        ("validation loss", ("metrics", "validation", "loss"), False),
    ),
    "data_import": (("bars", ("rows",), False),),
}


def headline(operation: Operation) -> Headline | None:
    for name, path, is_share in SOURCES.get(operation.operation_type, ()):
        value = _dig(operation.result, *path)
        if isinstance(value, int | float):
            return Headline(name, float(value), is_share)
    return None


def subject(operation: Operation) -> str:
    """What the operation is about in a few words: the strategy and the symbols."""
    parameters = operation.parameters
    symbols = parameters.get("symbols") or [parameters.get("symbol", "")]
    symbols = symbols if isinstance(symbols, list) else [symbols]
    name = strategy_name(parameters.get("strategy_yaml"))
    return " · ".join(part for part in (name, " ".join(str(symbol) for symbol in symbols if symbol)) if part)


def strategy_name(text: object) -> str:
    """The `name:` of a strategy file, read without parsing the whole of it."""
    if not isinstance(text, str):
        return ""
    for line in text.splitlines():
        if line.startswith("name:"):
            return line.removeprefix("name:").split(" #")[0].strip().strip("\"'")[:80]
    return ""


def described(operations: Iterable[Operation]) -> list[Operation]:
    """The operations with what their line in a list says: `about`, `judged`, `took`."""
    rows = list(operations)
    for row in rows:
        row.about = subject(row)  # type: ignore[attr-defined]  # for the template alone
        row.judged = headline(row)  # type: ignore[attr-defined]  # for the template alone
        if row.started_at and row.completed_at:
            row.took = row.completed_at - row.started_at  # type: ignore[attr-defined]  # for the template alone
    return rows
