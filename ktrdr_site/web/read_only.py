"""Refuses changes while the site is read-only, and leaves open what ends that: signing in, and the pause itself."""

import time
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import Resolver404, resolve

from access.problems import Unavailable, problem_response
from ktrdr_site.web.error_pages import PAGES
from operations import dispatch_pauses

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OPEN = frozenset(
    {
        "login",
        "sign_in_code",
        "logout",
        "dispatch-pause",
        "dashboard:dispatch_pause",
        "validate-strategy",
        "validate-study",
        "dashboard:preview",
        "dashboard:check_strategy",
    }
)
"""Names of routes that store nothing, or only a session or the pause."""
RETRY_AFTER_S = 30


class ReadOnlyMiddleware:
    """Goes before anything reads the body. Workers keep a report that is refused, and send it again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._writable_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # The route last: to find it takes longer than to look at what is cached.
        if request.method in SAFE_METHODS or not self._is_read_only() or _is_open(request):
            return self._get_response(request)
        if request.path.startswith(PAGES):
            response: HttpResponseBase = render(
                request, "read_only.html", status=HTTPStatus.SERVICE_UNAVAILABLE
            )
        else:
            response = problem_response(
                Unavailable("The site is read-only for maintenance; nothing was changed. Try again later.")
            )
        response["Retry-After"] = str(RETRY_AFTER_S)
        return response

    def _is_read_only(self) -> bool:
        """Return whether changes are refused.

        "No" is cached for less than `NOTICED_AFTER_S`, to save a query for each report of a worker; "yes" is not cached,
        so the end of a pause is noticed at once.
        """
        if time.monotonic() < self._writable_until:
            return False
        is_read_only = dispatch_pauses.is_read_only()
        if not is_read_only:
            self._writable_until = time.monotonic() + settings.WRITABLE_CACHE_S
        return is_read_only


def _is_open(request: HttpRequest) -> bool:
    try:
        return resolve(request.path_info).view_name in OPEN
    except Resolver404:  # nothing is there to be changed
        return True
