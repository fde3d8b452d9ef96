"""Addresses that respond without a person: probes and static files. They read neither session nor user.

So they respond while the database does not, and whatever the state of the session that a browser sends along.
"""

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

PROBES = re.compile(r"/(api/v1/)?(health|readyz)")


class ImpersonalMiddleware:
    """Goes before the sessions. Everything after it sees a request without the session's cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if PROBES.fullmatch(request.path) or request.path.startswith(settings.STATIC_URL):
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        return self._get_response(request)
