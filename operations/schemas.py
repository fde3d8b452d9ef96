"""Validates parameters against the JSON schemas that workers announced for an operation type."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from operations.schema_messages import problems_of
from registry.models import Capability

NOTHING_REMOTE: Registry[Any] = Registry()
"""Schemas come from workers, so they must not make the backend fetch anything."""
CACHED_SCHEMAS = 64


def parameter_errors(operation_type: str, parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return no errors if at least one worker type's schema accepts the parameters; otherwise the errors of the first."""
    schemas = Capability.objects.filter(operation_type=operation_type).order_by("worker_type")
    errors_by_schema = [
        _errors(schema, parameters) for schema in schemas.values_list("parameters_schema", flat=True)
    ]
    if not errors_by_schema:
        detail = f"No worker has ever announced operations of type {operation_type}."
        return [{"pointer": "/operation_type", "detail": detail}]
    return [] if any(not errors for errors in errors_by_schema) else errors_by_schema[0]


@lru_cache(maxsize=CACHED_SCHEMAS)
def _validator(schema_text: str) -> Draft202012Validator:
    """Return the validator of a schema, whose check takes much longer than its use. Raises SchemaError."""
    schema = json.loads(schema_text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, registry=NOTHING_REMOTE)


def _errors(schema: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    try:
        validator = _validator(json.dumps(schema, sort_keys=True))
        errors = sorted(validator.iter_errors(parameters), key=lambda error: str(error.json_path))
        problems = [problem for error in errors[:50] for problem in problems_of(error, "parameters")]
        return list({tuple(problem.values()): problem for problem in problems}.values())[:50]
    except (SchemaError, Unresolvable, RecursionError) as problem:
        detail = f"The schema announced by its workers is not usable: {str(problem)[:200]}"
        return [{"pointer": "/operation_type", "detail": detail}]
