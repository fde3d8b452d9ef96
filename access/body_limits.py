"""Refuses a body that is too large before anything reads it.

The check of the CSRF token parses a form, and Django spools the files of a form to disk without a limit: anybody with
a cookie could fill the disk. So the size is compared first, with the limit of the view and of its caller. A body
without a Content-Length is empty for Django.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from access.problems import Problem, problem_response
from access.roles import Role, role_of

View = TypeVar("View", bound=Callable[..., Any])

PAGE_BYTES = 4 * 1024**2
"""A form of a page: a strategy file, percent-encoded."""
FORM_OVERHEAD = 64 * 1024
"""The other fields of a form with a file, and the boundaries between them."""


def accept_bodies(max_bytes: int) -> Callable[[View], View]:
    """Give a view, or a class of the API, a limit of its own."""

    def declare(view: View) -> View:
        view.max_body_bytes = max_bytes  # type: ignore[attr-defined]  # read by `max_bytes_of`
        return view

    return declare


class BodyLimitMiddleware:
    """Goes after the authentication, whose user it asks for, and before the check of the CSRF token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        size = _content_length(request)
        small = min(PAGE_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if size > small and size > (limit := max_bytes_of(request)):
            return _refuse(limit)
        return self._get_response(request)


def max_bytes_of(request: HttpRequest) -> int:
    """Return the limit of the view for this caller, in bytes.

    Views of the API are not parsed before their own authentication. Everything else is, so only a signed-in operator
    may send it more than a page's form.
    """
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return PAGE_BYTES
    is_api = getattr(view, "csrf_exempt", False)
    user = request.user
    if (user.is_authenticated or not is_api) and not _is_operator(user):
        return PAGE_BYTES
    default = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if is_api else PAGE_BYTES
    declared: int | None = getattr(getattr(view, "cls", view), "max_body_bytes", None)
    return declared or default


def _is_operator(user: object) -> bool:
    return isinstance(user, User) and user.is_active and role_of(user) >= Role.OPERATOR


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _refuse(limit: int) -> HttpResponse:
    return problem_response(
        Problem(f"A body may have at most {limit} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    )
