"""The subject of an operation: its strategy and symbols."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.db.models.fields.json import KT

from operations.models import Operation


def subject(operation: Operation, strategies: Mapping[str, str] = MappingProxyType({})) -> str:
    """Describe the operation by its strategy and symbols.

    `strategies` maps the id of the operation whose model is used to the name of its strategy.
    """
    return describe(operation.parameters, strategies)


def describe(parameters: Mapping[str, Any], strategies: Mapping[str, str] = MappingProxyType({})) -> str:
    """Describe an operation with these parameters like `subject`."""
    symbols = parameters.get("symbols") or [parameters.get("symbol", "")]
    symbols = symbols if isinstance(symbols, list) else [symbols]
    name = strategy_name(parameters.get("strategy_yaml")) or strategies.get(str(parameters.get("model")), "")
    return " · ".join(part for part in (name, " ".join(str(symbol) for symbol in symbols if symbol)) if part)


def strategy_name(text: object) -> str:
    """Read the `name:` of a strategy file without parsing all of it."""
    if not isinstance(text, str):
        return ""
    for line in text.splitlines():
        if line.startswith("name:"):
            return line.removeprefix("name:").split(" #")[0].strip().strip("\"'")[:80]
    return ""


def strategies_of_models(rows: Iterable[Operation]) -> dict[str, str]:
    """Map the ids of the operations whose models are used to the names of their strategies."""
    return strategies_in(row.parameters for row in rows)


def strategies_in(parameters: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Map like `strategies_of_models` for operations with these parameters."""
    models = {given.get("model") for given in parameters if "strategy_yaml" not in given}
    ids = [model for model in models if isinstance(model, str)]
    if not ids:
        return {}
    texts = Operation.objects.filter(pk__in=ids).values_list("pk", KT("parameters__strategy_yaml"))
    return {pk: strategy_name(text) for pk, text in texts}
