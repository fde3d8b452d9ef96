"""Files that are sent with the form of an operation: each becomes an upload, whose id is the value of its field."""

from typing import Any

from access.permissions import require
from access.problems import Problem
from access.roles import Role
from dashboard.internal_api import ApiResponse
from dashboard.views.decorators import PageRequest
from operations import uploads
from operations.presentation.forms import PARAMETERS, Form


def store_uploads(request: PageRequest, form: Form, form_data: dict[str, str]) -> ApiResponse | None:
    """Store the files and write their ids into `form_data`; return the refusal of one, as the API words it.

    Raises PermissionDenied.
    """
    for field in form.upload_fields:
        file = request.FILES.get(field.file_name)
        if file is None:
            continue
        require(request.user, Role.OPERATOR)
        try:
            form_data[field.name] = uploads.store(file, request.user).pk
        except Problem as problem:
            return _refusal(f"/parameters/{field.name.removeprefix(PARAMETERS)}", problem)
    return None


def _refusal(pointer: str, problem: Problem) -> ApiResponse:
    error: dict[str, Any] = {"pointer": pointer, "detail": str(problem.detail)}
    return ApiResponse(problem.status_code, {"detail": str(problem.detail), "errors": [error]})
