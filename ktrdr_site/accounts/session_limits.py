"""Ends a session after a time without use, and after a time in all."""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase

SIGNED_IN_AT, USED_AT = "signed_in_at", "used_at"
"""Keys of the session; Unix times in whole seconds."""
DAY_S = 86_400
RESOLUTION_S = 60
"""A use is stored at most once in this time, which saves a write per request."""


class SessionLimitMiddleware:
    """Goes after the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # A request without the session's cookie, such as a program's, does not load the session.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            if _is_over(request):
                logout(request)
            elif not _is_automatic(request):
                _note_use(request)
        return self._get_response(request)


def start_session(sender: object, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Receive `user_logged_in`: the session's time starts."""
    request.session[SIGNED_IN_AT] = request.session[USED_AT] = int(time.time())


def _is_over(request: HttpRequest) -> bool:
    now = time.time()
    signed_in = request.session.get(SIGNED_IN_AT, 0)  # without it, the session is older than this limit
    used = request.session.get(USED_AT, signed_in)
    return bool(
        now - signed_in > settings.SESSION_MAX_DAYS * DAY_S or now - used > settings.SESSION_IDLE_DAYS * DAY_S
    )


def _is_automatic(request: HttpRequest) -> bool:
    """Return whether a page sent the request without its user: an open tab must not keep a session alive."""
    return "HX-Request" in request.headers


def _note_use(request: HttpRequest) -> None:
    now = int(time.time())
    if now - request.session.get(USED_AT, 0) >= RESOLUTION_S:
        request.session[USED_AT] = now
