"""The forms of types that only workers know, and what the site can offer for their inputs."""

from collections.abc import Mapping
from typing import Any

from operations import uploads
from operations.models import Artifact, MarketData
from operations.presentation.forms import Form
from operations.presentation.schema_forms import in_declared_order, mapping, schema_form
from operations.states import Status
from registry.models import Capability

MAX_SUGGESTIONS = 200


def announced_form(operation_type: str) -> Form | None:
    """Return the form of a type by the schema that validates it first; None if no worker has announced it."""
    capability = _capability(operation_type)
    return None if capability is None else schema_form(operation_type, capability.parameters_schema)


def defaults(operation_type: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the parameters that are not given, in the order of declaration.

    They are those of the schema that is announced now; a worker of an earlier build may have had others.
    """
    capability = _capability(operation_type)
    schema: Mapping[str, Any] = capability.parameters_schema if capability else {}
    properties = mapping(schema.get("properties"))
    return {
        name: mapping(properties[name])["default"]
        for name in in_declared_order(properties, schema)
        if name not in parameters and "default" in mapping(properties[name])
    }


def _capability(operation_type: str) -> Capability | None:
    return Capability.objects.filter(operation_type=operation_type).order_by("worker_type").first()


def suggestions(form: Form) -> dict[str, list[tuple[str, str]]]:
    """Return (value, explanation) pairs of the fields that name an input: symbols, operations, or uploads."""
    sources = {"timeframe": _symbols, "artifact": _operations, "upload": _uploads}
    return {
        field.name: sources[key](value)
        for field in form.fields
        if field.mark
        for key, value in [field.mark]
        if key in sources
    }


def _symbols(timeframe: str) -> list[tuple[str, str]]:
    rows = MarketData.objects.filter(timeframe=timeframe).order_by("symbol")
    return [(symbol, "") for symbol in rows.values_list("symbol", flat=True)[:MAX_SUGGESTIONS]]


def _operations(artifact: str) -> list[tuple[str, str]]:
    rows = Artifact.objects.filter(
        role=Artifact.Role.OUTPUT,
        name=artifact,
        operation__status=Status.COMPLETED,
        operation__deleted_at=None,
    ).order_by("-operation__completed_at")
    fields = ("operation_id", "operation__operation_type", "operation__title", "operation__completed_at")
    return [
        (operation_id, f"{title or operation_type}, {ended:%Y-%m-%d %H:%M}")
        for operation_id, operation_type, title, ended in rows.values_list(*fields)[:MAX_SUGGESTIONS]
    ]


def _uploads(endings: str) -> list[tuple[str, str]]:
    suffixes = tuple(endings.lower().split()) or ("",)
    rows = uploads.current().values_list("upload_id", "name", "created_at")[:MAX_SUGGESTIONS]
    return [
        (upload_id, f"{name}, {sent:%Y-%m-%d %H:%M}")
        for upload_id, name, sent in rows
        if name.lower().endswith(suffixes)
    ]


def description_of(capability: Capability) -> str:
    """Return the description that the author gave the parameters; empty without one."""
    return schema_form(capability.operation_type, capability.parameters_schema).description
