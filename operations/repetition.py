"""The submission that repeats an operation."""

from typing import Any

from operations import inputs
from operations.models import Artifact, Operation
from operations.presentation.forms import Form, form_data_of, request_body
from operations.registered_kinds import kind_of
from operations.requests import GenericRequest
from operations.schemas import read_schemas


def submission_of(operation: Operation, form: Form) -> dict[str, Any]:
    """Return the submission, as an item of a batch, that repeats an operation with the form of its kind."""
    body = request_body(form, form_data_of(form, operation.parameters))
    model = kind_of(operation.operation_type).request_model or GenericRequest
    chosen: dict[str, Any] = {"priority": operation.priority, "requirements": operation.requirements}
    prefer_gpu = model.model_fields.get("prefer_gpu")
    if prefer_gpu is not None and prefer_gpu.default != operation.prefer_gpu:
        chosen["prefer_gpu"] = operation.prefer_gpu
    return {
        "operation_type": operation.operation_type,
        **body,
        **{name: value for name, value in chosen.items() if value or name == "prefer_gpu"},
    }


def lost_inputs(operation: Operation) -> list[str]:
    """Return the inputs that the request named: of an announced type only their files are kept, not their sources."""
    if kind_of(operation.operation_type).request_model is not None:
        return []
    marked = inputs.marked(read_schemas(operation.operation_type), operation.parameters)
    names = operation.artifacts.filter(role=Artifact.Role.INPUT).values_list("name", flat=True)
    return sorted(set(names) - set(marked))
