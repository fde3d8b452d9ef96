"""What stands for an operation in a list: the one number by which it is judged, and what it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db.models.fields.json import KT

from operations.models import Operation

CLONABLE = {"training", "backtesting"}


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


def subject(operation: Operation, strategies: Mapping[str, str] = MappingProxyType({})) -> str:
    """What the operation is about in a few words: the strategy and the symbols.

    `strategies` has the strategy's name by the id of the training whose model is used.
    """
    parameters = operation.parameters
    symbols = parameters.get("symbols") or [parameters.get("symbol", "")]
    symbols = symbols if isinstance(symbols, list) else [symbols]
    name = strategy_name(parameters.get("strategy_yaml")) or strategies.get(str(parameters.get("model")), "")
    return " · ".join(part for part in (name, " ".join(str(symbol) for symbol in symbols if symbol)) if part)


def strategy_name(text: object) -> str:
    """The `name:` of a strategy file, read without parsing the whole of it."""
    if not isinstance(text, str):
        return ""
    for line in text.splitlines():
        if line.startswith("name:"):
            return line.removeprefix("name:").split(" #")[0].strip().strip("\"'")[:80]
    return ""


def strategies_of_models(rows: Iterable[Operation]) -> dict[str, str]:
    """Names of the strategies of the trainings whose models are traded, by the training's id."""
    models = {row.parameters.get("model") for row in rows if "strategy_yaml" not in row.parameters}
    wanted = [model for model in models if isinstance(model, str)]
    if not wanted:
        return {}
    texts = Operation.objects.filter(pk__in=wanted).values_list("pk", KT("parameters__strategy_yaml"))
    return {pk: strategy_name(text) for pk, text in texts}


def described(operations: Iterable[Operation]) -> list[Operation]:
    """The operations with what their line in a list says: `about`, `judged`, `took`, `is_clonable`."""
    rows = list(operations)
    strategies = strategies_of_models(rows)
    for row in rows:
        row.about = subject(row, strategies)  # type: ignore[attr-defined]  # for the template alone
        row.is_clonable = row.operation_type in CLONABLE  # type: ignore[attr-defined]  # for the template alone
        row.judged = headline(row)  # type: ignore[attr-defined]  # for the template alone
        if row.started_at and row.completed_at:
            row.took = row.completed_at - row.started_at  # type: ignore[attr-defined]  # for the template alone
    return rows
