"""Shared by all API views: error responses (RFC 9457), cursor pagination and input validation with pydantic."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, DataError
from django.http import Http404, HttpResponse
from pydantic import BaseModel, ValidationError
from rest_framework import exceptions, pagination
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from access.browsable import MEDIA_TYPE
from access.conflicts import is_conflict
from worker_agent.validation_messages import problems_of
from worker_agent.values import escape

log = structlog.get_logger(__name__)

Model = TypeVar("Model", bound=BaseModel)
TIMEOUTS = ("55P03", "57014")
"""SQLSTATE of `lock_timeout` and `statement_timeout`."""
PROBLEM_JSON = "application/problem+json"


class Problem(exceptions.APIException):
    """An error response; each of `errors` points into the input."""

    status_code: int = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        detail: str,
        status: int | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status_code = status or self.status_code
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.more = more


class Invalid(Problem):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY


class Conflict(Problem):
    status_code = HTTPStatus.CONFLICT


class Unavailable(Problem):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE


class Busy(Problem):
    """429: retry after `retry_after_s`."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


def invalid(pointer: str, detail: str) -> Invalid:
    """Return the error for one invalid field."""
    return Invalid(detail, errors=[{"pointer": pointer, "detail": detail}])


def refuse_nul(values: Mapping[str, Any]) -> None:
    """Raise Invalid with the name of the first value that contains a NUL character, which PostgreSQL does not store."""
    for name, value in values.items():
        if "\x00" in str(value):
            raise invalid(f"/{name}", "Text may not contain NUL characters.")


def validate(model: type[Model], data: Any) -> Model:
    """Return `data` as a `model`. Raises Invalid with one JSON pointer per error."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors, count = problems_of(error), error.error_count()
        raise Invalid(f"{count} field{'s are' if count > 1 else ' is'} not valid.", errors=errors) from error


def pointer(location: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a pydantic location."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def body(request: Request) -> Any:
    """Return the JSON object of the request. Raises Problem (400 if the body is not JSON, 422 if it is not an object)."""
    try:
        data = request.data
    except SuspiciousOperation as error:  # a form with too many fields or files
        raise exceptions.ParseError(f"The body cannot be read: {error}") from error
    if hasattr(data, "dict"):
        return data.dict()
    if not isinstance(data, dict):
        raise Invalid(
            "The body must be a JSON object.", errors=[{"pointer": "", "detail": "Not a JSON object."}]
        )
    return data


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn exceptions into `application/problem+json` responses."""
    if isinstance(exception, Http404):
        exception = exceptions.NotFound(str(exception) or None)
    elif isinstance(exception, PermissionDenied):
        exception = exceptions.PermissionDenied()
    elif isinstance(exception, RequestDataTooBig):
        exception = Problem(
            f"A body may have at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.",
            status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    elif isinstance(exception, DatabaseError) and _is_contention(exception):
        exception = Unavailable("The database is busy; try again.", headers={"Retry-After": "2"})
    elif problem := _describe_unstorable(exception):
        log.warning("a value that cannot be stored was found late", exc_info=exception)
        exception = invalid("", problem)
    if not isinstance(exception, exceptions.APIException):
        return None
    set_rollback()
    status = int(exception.status_code)
    data: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _text(exception.detail),
        "request_id": structlog.contextvars.get_contextvars().get("request_id") or str(uuid4()),
    }
    if isinstance(exception, Problem):
        data |= exception.more
        if exception.errors:
            data["errors"] = exception.errors
    elif isinstance(exception, exceptions.ValidationError):
        data["status"] = status = HTTPStatus.UNPROCESSABLE_ENTITY
        data["title"] = HTTPStatus(status).phrase
        data["errors"] = _errors(exception.detail)
    return Response(data, status=status, headers=_headers(exception), content_type=_content_type(context))


def problem_response(exception: exceptions.APIException) -> HttpResponse:
    """Return the response to a request that reaches no view of the API."""
    response = exception_handler(exception, {})
    assert response is not None, "it is one of the API's exceptions"
    return HttpResponse(
        JSONRenderer().render(response.data), status=response.status_code, content_type=PROBLEM_JSON
    )


def _is_contention(error: DatabaseError) -> bool:
    """Return whether the statement was ended because others held its locks or the server was overloaded."""
    return is_conflict(error) or getattr(error.__cause__, "sqlstate", None) in TIMEOUTS


def _describe_unstorable(error: Exception) -> str:
    """Return what of the request cannot be stored; empty for any other error.

    Views refuse such a value with its place before they use it. This is for one that a view overlooks.
    """
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return f"The text contains the character {escape(error.object[error.start])}, which cannot be stored."
    if isinstance(error, DataError):
        return f"A value cannot be stored: {' '.join(str(error).split())[:200]}."
    return ""


def _content_type(context: Mapping[str, Any]) -> str | None:
    """Return None for the browsable API, whose renderer sets its own content type."""
    renderer = getattr(context.get("request"), "accepted_renderer", None)
    return None if getattr(renderer, "media_type", "") == MEDIA_TYPE else PROBLEM_JSON


def _headers(exception: exceptions.APIException) -> dict[str, str]:
    headers = dict(getattr(exception, "headers", {}))
    if authenticate := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    if wait := getattr(exception, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _text(detail: Any) -> str:
    if isinstance(detail, dict):
        return "; ".join(f"{name}: {_text(value)}" for name, value in detail.items())
    if isinstance(detail, list):
        return " ".join(_text(value) for value in detail)
    return str(detail)


def _errors(detail: Any, at: str = "") -> list[dict[str, str]]:
    if isinstance(detail, dict):
        return [error for name, value in detail.items() for error in _errors(value, f"{at}/{name}")]
    if isinstance(detail, list):
        return [error for value in detail for error in _errors(value, at)]
    return [{"pointer": at, "detail": str(detail)}]


PAGE_SIZE, MAX_PAGE_SIZE = 50, 200
PAGE_SIZE_SCHEMA: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_PAGE_SIZE,
    "default": PAGE_SIZE,
}


class CursorPagination(pagination.CursorPagination):
    """`{"results", "next", "previous"}` with a `Link` header; newest first unless the view sets another `ordering`."""

    page_size = PAGE_SIZE
    max_page_size = MAX_PAGE_SIZE
    page_size_query_param = "limit"
    ordering: str | tuple[str, ...] = "-pk"
    invalid_cursor_message = "The cursor does not belong to this list."

    def get_page_size(self, request: Request) -> int | None:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= self.max_page_size:
            raise invalid("/limit", f"limit must be a whole number from 1 to {self.max_page_size}.")
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters for the API document, with the limits of a page."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = PAGE_SIZE_SCHEMA
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the shape of a page for the API document, whose version has no `nullable`."""
        address = {"type": ["string", "null"], "format": "uri"}
        properties = {"next": address, "previous": address, "results": schema}
        return {"type": "object", "properties": properties, "required": list(properties)}

    def get_paginated_response(self, data: Any) -> Response:
        links = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        header = ", ".join(
            f'<{url}>; rel="{"prev" if name == "previous" else name}"' for name, url in links.items() if url
        )
        return Response({"results": data, **links}, headers={"Link": header} if header else None)


class NewestFirst(CursorPagination):
    """Also where rows were restored in another order than they were created."""

    ordering = ("-created_at", "-pk")
