"""Pages act through the API: the same URL, the same view, the same rules, without a second connection.

Whatever a person does on a page is therefore exactly what a program could do, and is refused for the same reasons.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

NOT_HERE = 404


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input; `name` is the field, empty where it is no single one."""

    name: str
    text: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.status < 400

    @property
    def detail(self) -> str:
        return str(self.data.get("detail") or self.data.get("title") or f"The API answered {self.status}.")

    @property
    def problems(self) -> list[Problem]:
        """`errors` of problem+json, or its detail where it names no field."""
        found = [
            Problem(
                _first_part(str(error.get("pointer", ""))),
                str(error.get("detail") or error.get("message", "")),
                error.get("line"),
                error.get("column"),
            )
            for error in self.data.get("errors") or []
        ]
        return found if found or self.is_good else [Problem("", self.detail)]


def _first_part(pointer: str) -> str:
    """`/symbols/0` -> `symbols`."""
    return pointer.lstrip("/").partition("/")[0]


def send(
    request: HttpRequest,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
) -> Answer:
    """Calls the API's view at `path` (which may have a query) as the person of `request`."""
    return _answer(_dispatch(_inner(request, method, path, body, idempotency_key), path))


def send_upload(request: HttpRequest, path: str, idempotency_key: str = "") -> Answer:
    """Hands the multipart form of `request` itself to the API's view at `path`, as a program would send it."""
    request.META["HTTP_ACCEPT"] = "application/json"
    if idempotency_key:
        request.META["HTTP_IDEMPOTENCY_KEY"] = idempotency_key
    request.headers = HttpHeaders(request.META)  # those that were read before are a browser's
    return _answer(_dispatch(request, path))


def _inner(
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
    inner = WSGIRequest(environ)
    inner.user = request.user
    inner.session = request.session
    return inner


def _dispatch(request: HttpRequest, path: str) -> HttpResponseBase:
    """The outer request has passed the CSRF check already; the token is not in the inner one."""
    try:
        match = resolve(path.partition("?")[0])
    except Resolver404:
        return HttpResponse(status=NOT_HERE)
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own switch for this
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if render := getattr(response, "render", None):
        render()
    return response


def _answer(response: HttpResponseBase) -> Answer:
    content = getattr(response, "content", b"")
    try:
        data = json.loads(content) if content else {}
    except ValueError:
        data = {}
    return Answer(response.status_code, data if isinstance(data, dict) else {"results": data})
