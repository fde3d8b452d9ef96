"""The types of operations that this installation knows: its own kinds, and those that workers have announced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.kind import Kind
from operations.registered_kinds import all_kinds, kind_of
from operations.requests import GenericRequest
from registry.models import Capability
from registry.workforce import Workforce

MAX_EXAMPLE_PARAMETERS = 50
ANNOUNCED = ("worker_type", "parameters_schema", "result_schema", "timeout_s", "max_attempts", "max_running")


@dataclass(frozen=True, slots=True)
class OperationType:
    operation_type: str
    title: str
    description: str
    submit_path: str
    request_schema: Mapping[str, Any] | None
    """JSON Schema of the body of the submission."""
    example: Mapping[str, Any] | None
    announced: Sequence[Mapping[str, Any]]
    """worker_type, schemas and declared limits of each kind of worker that runs it."""
    workers: Mapping[str, int]


def describe_types() -> list[OperationType]:
    """Return all types, the product's own first. Three queries."""
    schemas: dict[str, list[Mapping[str, Any]]] = {}
    for row in Capability.objects.all():
        announced = {name: getattr(row, name) for name in ANNOUNCED}
        schemas.setdefault(row.operation_type, []).append(announced)
    workforce = Workforce.load()
    own = [kind.operation_type for kind in all_kinds()]
    names = [*own, *sorted(schemas.keys() - set(own))]
    return [_describe(kind_of(name), schemas.get(name, []), workforce) for name in names]


def _describe(kind: Kind, announced: Sequence[Mapping[str, Any]], workforce: Workforce) -> OperationType:
    schema, example = _request(kind, announced)
    return OperationType(
        operation_type=kind.operation_type,
        title=kind.title,
        description=kind.description,
        submit_path=kind.submit_path,
        request_schema=schema,
        example=example,
        announced=announced,
        workers=workforce.counts(kind.operation_type, {}),
    )


def _request(
    kind: Kind, announced: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the schema of the body of a submission, and an example."""
    if kind.submit_path != Kind.submit_path:
        schema = kind.request_model.model_json_schema() if kind.request_model else None
        return schema, kind.request_example
    parameters = announced[0]["parameters_schema"] if announced else {"type": "object"}
    return _generic_schema(kind.operation_type, parameters), _generic_example(kind.operation_type, parameters)


def _generic_schema(operation_type: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of `POST /operations` for one type.

    The announced schema becomes an embedded resource with an identifier of its own, so that its references to `$defs`
    keep pointing into itself.
    """
    schema = GenericRequest.model_json_schema()
    schema["properties"]["operation_type"] = {"const": operation_type}
    schema["properties"]["parameters"] = {**parameters, "$id": f"urn:ktrdr:parameters:{operation_type}"}
    return schema


def _generic_example(operation_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the example of the announced schema, or with the defaults and examples of its properties."""
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and isinstance(examples[0], dict):
        parameters = examples[0]
    else:
        properties = schema.get("properties")
        named = list(properties.items())[:MAX_EXAMPLE_PARAMETERS] if isinstance(properties, dict) else []
        parameters = {name: _example_value(of) for name, of in named if _has_example(of)}
    return {"operation_type": operation_type, "parameters": parameters}


def _has_example(schema: object) -> bool:
    return isinstance(schema, dict) and ("default" in schema or bool(schema.get("examples")))


def _example_value(schema: Mapping[str, Any]) -> Any:
    examples = schema.get("examples")
    return examples[0] if isinstance(examples, list) and examples else schema.get("default")
