"""Calls the API's views in the same process, so that pages follow exactly the same rules as API clients."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.dateparse import parse_datetime


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One problem of the input; `name` is the field, empty if it concerns no single field."""

    name: str
    text: str
    line: int | None = None
    column: int | None = None
    pointer: str = ""

    @property
    def message(self) -> str:
        """The text, with the line if there is one."""
        return f"line {self.line}: {self.text}" if self.line else self.text

    def within(self, part: str) -> "InputProblem":
        """Return the problem with the place in `/part`, if it is there; otherwise unchanged."""
        if not self.pointer.startswith(f"/{part}/"):
            return self
        pointer = self.pointer.removeprefix(f"/{part}")
        return replace(self, pointer=pointer, name=_first_part(pointer))

    @property
    def place(self) -> str:
        """`line 3:7`, `line 3` or `the file`."""
        if not self.line:
            return "the file"
        return f"line {self.line}:{self.column}" if self.column else f"line {self.line}"


@dataclass(frozen=True, slots=True)
class ApiResponse:
    status: int
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return self.status < 400

    def raise_if_forbidden(self) -> "ApiResponse":
        """Show the page for missing permission if the API did not allow the call."""
        if self.status == HTTPStatus.FORBIDDEN:
            raise PermissionDenied(self.detail)
        return self

    @property
    def detail(self) -> str:
        return str(
            self.data.get("detail")
            or self.data.get("title")
            or f"The API responded with status {self.status}."
        )

    @property
    def problems(self) -> list[InputProblem]:
        """`errors` of problem+json, or its detail if it has none."""
        problems = [
            InputProblem(
                _first_part(str(error.get("pointer", ""))),
                str(error.get("detail") or error.get("message", "")),
                error.get("line"),
                error.get("column"),
                str(error.get("pointer", "")),
            )
            for error in self.data.get("errors") or []
        ]
        return problems if problems or self.is_success else [InputProblem("", self.detail)]


def _first_part(pointer: str) -> str:
    """`/symbols/0` -> `symbols`."""
    return pointer.lstrip("/").partition("/")[0]


def call_api(
    request: HttpRequest,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
) -> ApiResponse:
    """Call the API's view at `path`, which may have a query string, as the user of `request`."""
    return _parse(_dispatch(_api_request(request, method, path, body, idempotency_key), path))


def with_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a response with its times, whose names end in `_at`, as datetimes."""
    times = {name: parse_datetime(row[name]) for name in row if name.endswith("_at") and row[name]}
    return {**row, **times}


def forward_upload(request: HttpRequest, path: str, idempotency_key: str = "") -> ApiResponse:
    """Pass the multipart form of `request` to the API's view at `path`."""
    request.META["HTTP_ACCEPT"] = "application/json"
    if idempotency_key:
        request.META["HTTP_IDEMPOTENCY_KEY"] = idempotency_key
    request.headers = HttpHeaders(request.META)  # replaces the cached headers of the browser
    return _parse(_dispatch(request, path))


def _api_request(
    request: HttpRequest, method: str, path: str, body: Mapping[str, Any] | None, idempotency_key: str
) -> WSGIRequest:
    content = b"" if body is None else json.dumps(body).encode()
    address, _, query = path.partition("?")
    environ = {
        **request.META,
        "REQUEST_METHOD": method,
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_ACCEPT": "application/json",
        "wsgi.input": BytesIO(content),
    }
    if idempotency_key:
        environ["HTTP_IDEMPOTENCY_KEY"] = idempotency_key
    api_request = WSGIRequest(environ)
    api_request.user = request.user
    api_request.session = request.session
    return api_request


def _dispatch(request: HttpRequest, path: str) -> HttpResponseBase:
    """Run the view. The outer request has already passed the CSRF check; the inner one has no token."""
    try:
        match = resolve(path.partition("?")[0])
    except Resolver404:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's switch to skip the check
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if render := getattr(response, "render", None):
        render()
    return response


def _parse(response: HttpResponseBase) -> ApiResponse:
    content = getattr(response, "content", b"")
    try:
        data = json.loads(content) if content else {}
    except ValueError:
        data = {}
    return ApiResponse(response.status_code, data if isinstance(data, dict) else {"results": data})
