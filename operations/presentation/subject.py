"""What an operation is about, in a few words."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from django.db.models.fields.json import KT

from operations.models import Operation


def subject(operation: Operation, strategies: Mapping[str, str] = MappingProxyType({})) -> str:
    """What the operation is about in a few words: the strategy and the symbols.

    `strategies` has the strategy's name by the id of the operation whose model is used.
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
    """Strategy names by the id of the operation whose model is used."""
    models = {row.parameters.get("model") for row in rows if "strategy_yaml" not in row.parameters}
    wanted = [model for model in models if isinstance(model, str)]
    if not wanted:
        return {}
    texts = Operation.objects.filter(pk__in=wanted).values_list("pk", KT("parameters__strategy_yaml"))
    return {pk: strategy_name(text) for pk, text in texts}
