"""Hooks for the OpenAPI document: the parameters and results of each kind, and operations with chosen fields."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from operations.api.chosen_fields import ALWAYS, HEADLINE, RESULT_VALUES
from operations.kind import Kind
from operations.registered_kinds import all_kinds

REFERENCE = "#/components/schemas/"
OPERATIONS = ("Operation", "OperationDetail")
ANY_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}


def with_kinds(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Type `parameters` and `result` of operations. Other types, and older results, are any object."""
    schemas = result["components"]["schemas"]
    parameters = {kind: kind.parameters_model for kind in all_kinds() if kind.parameters_model}
    results = {kind: kind.result_model for kind in all_kinds() if kind.result_model}
    models = dict.fromkeys([*parameters.values(), *results.values()])
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=f"{REFERENCE}{{model}}"
    )
    for name, schema in definitions["$defs"].items():
        if schemas.setdefault(name, schema) != schema:
            raise ValueError(f"a serializer and a message are both called {name}")
    for name in OPERATIONS:
        properties = schemas[name]["properties"]
        properties["parameters"] = _any_of(parameters, "as sent to the worker")
        properties["result"] = _any_of(results, "null until the operation has completed", {"type": "null"})
    return result


def with_chosen_fields(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Describe the rows of `GET /operations?fields=`, which have the usual fields or those that were named."""
    schemas = result["components"]["schemas"]
    whole = schemas["Operation"]
    computed = {
        "subject": {"type": "string", "description": "strategy and symbols"},
        "headline": HEADLINE,
        "result_values": RESULT_VALUES,
    }
    schemas["PartialOperation"] = {
        "type": "object",
        "description": "An operation with the fields named in `fields`, or all but `parameters`, `result` and the computed ones.",
        "properties": {**whole["properties"], **computed},
        "required": [ALWAYS],
    }
    rows = schemas["PaginatedOperationList"]["properties"]["results"]
    rows["items"] = {"$ref": f"{REFERENCE}PartialOperation"}
    return result


def _any_of(models: dict[Kind, type[BaseModel]], description: str, *more: dict[str, Any]) -> dict[str, Any]:
    names = [f"`{kind.operation_type}`: {model.__name__}" for kind, model in models.items()]
    references = [{"$ref": f"{REFERENCE}{model.__name__}"} for model in dict.fromkeys(models.values())]
    return {
        "description": f"{description}; {', '.join(names)}; any object for other operation types",
        "anyOf": [*references, ANY_OBJECT, *more],
    }
