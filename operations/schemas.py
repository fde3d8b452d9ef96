"""Validates parameters against the JSON schemas that workers announced for an operation type."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from access.prepared import fetch
from access.problems import Invalid
from operations.schema_messages import problems_of
from registry import parameter_schemas
from registry.parameter_schemas import UnsafeSchema, compile_pattern

NOTHING_REMOTE: Registry[Any] = Registry()
"""Schemas come from workers, so they must not make the backend fetch anything."""
_SCHEMAS = """
    SELECT parameters_schema::text FROM registry_capability
    WHERE operation_type = %(operation_type)s ORDER BY worker_type
"""
CACHED_SCHEMAS = 64
MAX_STEPS = 100_000
"""Keywords that one validation may evaluate, about a second. Mutual references multiply with each level of the parameters."""
CHARACTERS_PER_STEP = 100


class TooComplex(Exception):
    """The validation would take too long."""


class _Budget:
    """The steps that one validation has left."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooComplex


_budget: ContextVar[_Budget] = ContextVar("budget")


def read_schemas(operation_type: str) -> list[str]:
    """Return the schema of each worker type that announced the operation type, as JSON text."""
    return [schema for (schema,) in fetch(_SCHEMAS, {"operation_type": operation_type})]


_recent: dict[str, tuple[float, list[str]]] = {}
"""Operation type -> when its schemas were read, and the schemas."""


def accepting_schemas(operation_type: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return the schemas of the type if one of them accepts the parameters. Raises Invalid.

    They may have been read up to `SCHEMAS_CACHE_S` ago, so an acceptance is right for a request of that time. A refusal
    is always by the current ones: a client may submit as soon as its worker is registered.
    """
    read_at, schemas = _recent.get(operation_type, (0.0, []))
    is_recent = time.monotonic() - read_at < settings.SCHEMAS_CACHE_S
    if is_recent and not parameter_errors(operation_type, schemas, parameters):
        return schemas
    schemas = read_schemas(operation_type)
    if errors := parameter_errors(operation_type, schemas, parameters):
        raise Invalid(errors[0]["detail"], errors=errors)
    if len(_recent) >= CACHED_SCHEMAS:
        _recent.clear()
    _recent[operation_type] = time.monotonic(), schemas
    return schemas


def parameter_errors(
    operation_type: str, schemas: Sequence[str], parameters: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return no errors if at least one of the type's schemas accepts the parameters; otherwise the errors of the first."""
    errors_by_schema = [_errors(schema, parameters) for schema in schemas]
    if not errors_by_schema:
        detail = f"No worker has ever announced operations of type {operation_type}."
        return [{"pointer": "/operation_type", "detail": detail}]
    return [] if any(not errors for errors in errors_by_schema) else errors_by_schema[0]


def _limited(keyword: Any) -> Any:
    """Return the keyword's function so that it spends steps: for itself, its list of values, and the text of its errors."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        budget = _budget.get()
        budget.spend(1 + (len(value) if isinstance(value, list) else 0))
        for error in keyword(validator, value, instance, schema) or ():
            budget.spend(1 + len(error.message) // CHARACTERS_PER_STEP)
            yield error

    return check


def _check_pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "string"):
        return
    _budget.get().spend(len(instance) // CHARACTERS_PER_STEP)
    if compile_pattern(pattern).search(instance) is None:
        yield ValidationError("The text does not have the form that this parameter requires.")


def _check_unique(validator: Any, is_required: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    """Compare canonical texts, because the library compares each pair of items."""
    if is_required and validator.is_type(instance, "array"):
        texts = [json.dumps(_canonical(item), sort_keys=True) for item in instance]
        if len(set(texts)) != len(texts):
            yield ValidationError("The items are not unique.")


def _canonical(value: Any) -> Any:
    """In JSON 1.0 and 1 are one number."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_canonical(item) for item in value]
        case dict():
            return {key: _canonical(item) for key, item in value.items()}
    return value


_OWN = {"pattern": _check_pattern, "uniqueItems": _check_unique}
_LIMITED: Any = validators.extend(  # type: ignore[no-untyped-call]  # no types in the library
    Draft202012Validator,
    {name: _limited(function) for name, function in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)


@lru_cache(maxsize=CACHED_SCHEMAS)
def _validator(schema_text: str) -> Any:
    """Return the validator of a schema, whose check takes much longer than its use. Raises UnsafeSchema."""
    schema = json.loads(schema_text)
    parameter_schemas.check(schema)
    return _LIMITED(schema, registry=NOTHING_REMOTE)


def _errors(schema_text: str, parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    token = _budget.set(_Budget())
    try:
        validator = _validator(schema_text)
        errors = sorted(validator.iter_errors(parameters), key=lambda error: str(error.json_path))
        problems = [problem for error in errors[:50] for problem in problems_of(error, "parameters")]
        return list({tuple(problem.values()): problem for problem in problems}.values())[:50]
    except (UnsafeSchema, Unresolvable, RecursionError) as problem:
        detail = f"The schema announced by its workers is not usable: {str(problem)[:200]}"
        return [{"pointer": "/operation_type", "detail": detail}]
    except TooComplex:
        detail = f"The parameters need more than {MAX_STEPS} steps of validation against their schema."
        return [{"pointer": "/parameters", "detail": detail}]
    finally:
        _budget.reset(token)
