"""The results of types that only workers know: a worker chose their names, values and schema."""

from collections.abc import Iterable, Mapping
from typing import Any

from operations.headline import Headline
from operations.presentation.shown_results import ShownValue, shorten, shown_values
from registry.models import Capability

MAX_SHOWN = 40
"""Characters of a name, and of a value, in a list."""


def read_schemas(operation_types: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the schema of the result of each of the types for which a worker announced one."""
    rows = Capability.objects.filter(operation_type__in=operation_types, result_schema__isnull=False)
    named = rows.order_by("-worker_type").values_list("operation_type", "result_schema")
    return {operation_type: schema or {} for operation_type, schema in named}


def headline(result: Mapping[str, Any], schema: Mapping[str, Any]) -> Headline | None:
    """Return the value that the schema marks as the summary; without one, the first number, text or truth value at the top."""
    values = [value for value in shown_values(result, schema) if _is_scalar(value)]
    top = [value for value in values if value.name in result]
    preferred = (value for value in values if value.is_summary)
    numbers = (value for value in top if not isinstance(value.value, bool | str))
    value = next(iter([*preferred, *numbers, *top]), None)
    return (
        None if value is None else Headline(shorten(value.title, MAX_SHOWN), shorten(value.text, MAX_SHOWN))
    )


def _is_scalar(shown: ShownValue) -> bool:
    return isinstance(shown.value, int | float | str)
