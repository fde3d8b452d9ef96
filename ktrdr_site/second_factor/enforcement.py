"""Gives no access to a session without the second factor that its user has or must have. API tokens need none.

Such a session is not refused but ignored, so everything that responds without a person, or to a token, still does.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.exceptions import PermissionDenied

from access.problems import problem_response
from access.roles import Role, role_of
from ktrdr_site.web.error_pages import PAGES

VERIFIED = "second_factor"
"""Key of a session whose user gave a second factor when it started, or set one up in it."""


class SecondFactorMiddleware:
    """Goes after the authentication. Each request is checked, so that sessions from before a change are refused too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # A request without the session's cookie, such as a program's, does not load the session.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not isinstance(request.user, User):
            return self._get_response(request)
        if not request.session.get(VERIFIED):
            if request.user.has_second_factor:  # type: ignore[attr-defined]  # set by PasswordBackend
                logout(request)
            elif is_required(request.user) and not _is_open(request):
                return self._respond_to_nobody(request)
        return self._get_response(request)

    def _respond_to_nobody(self, request: HttpRequest) -> HttpResponseBase:
        """Lead pages to the one that sets it up; treat other requests as if they came without the session."""
        page = reverse("second_factor")
        if request.path == "/" or request.path.startswith(PAGES):
            return redirect(page)
        request.user = AnonymousUser()
        response = self._get_response(request)
        if response.status_code == HTTPStatus.UNAUTHORIZED and "Authorization" not in request.headers:
            return problem_response(
                PermissionDenied(f"Your role requires a second factor; set it up at {page}.")
            )
        return response


def is_required(user: User) -> bool:
    if settings.REQUIRE_SECOND_FACTOR == "off":
        return False
    return role_of(user) >= Role[settings.REQUIRE_SECOND_FACTOR.upper()]


def _is_open(request: HttpRequest) -> bool:
    """Return whether the address serves to set up a second factor or to leave."""
    return request.path.startswith((reverse("second_factor"), reverse("logout")))
