"""The settings of a run as flat names and values, so that runs can be compared by the ones that differ."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from operations.models import Operation
from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError

STRATEGY = "strategy_yaml"
MAX_TEXT = 200
"""Characters of a value that is stored; longer text is not a setting."""


def settings_of(operation: Operation) -> dict[str, Any]:
    """Return the parameters and the values of the strategy by dotted name; a model has those of its run."""
    parameters = {name: value for name, value in operation.parameters.items() if name != STRATEGY}
    text = operation.parameters.get(STRATEGY) or _strategy_of_model(parameters.get("model"))
    values = {**parameters, **(strategy_values(text) if isinstance(text, str) else {})}
    return {name: value for name, value in values.items() if len(str(value)) <= MAX_TEXT}


def _strategy_of_model(model: object) -> str | None:
    if not isinstance(model, str):
        return None
    parameters = Operation.with_deleted.filter(pk=model).values_list("parameters", flat=True).first() or {}
    text = parameters.get(STRATEGY)
    return text if isinstance(text, str) else None


@lru_cache(maxsize=128)
def strategy_values(text: str) -> dict[str, Any]:
    """Return the values by dotted name. Cached: parsing takes 20 ms, and the same few files are compared repeatedly."""
    try:
        return dict(_flatten("strategy", read_document(text).data))
    except StrategyError:
        return {"strategy": text}


def _flatten(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(data, dict):
        yield name, data
        return
    for key, value in data.items():
        yield from _flatten(f"{name}.{key}", value)
