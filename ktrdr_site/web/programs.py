"""Middleware that only serves people: a request of a program with a token passes it.

Sessions, messages and the marks of htmx depend on cookies and pages. Workers and clients send neither, and
each of their requests spent about 0.2 ms in these parts.
"""

from typing import Any

from django.contrib.auth import middleware as authentication
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django_htmx import middleware as htmx

from ktrdr_site.web.error_pages import PAGES

FOR_PEOPLE = (*PAGES, "/shared/")


def is_program(request: HttpRequest) -> bool:
    """Return whether the request has a token and no cookie, and is not for a page.

    Without a cookie it has no session, so nobody is signed in, and no other site could have made a browser send it.
    """
    meta = request.META
    return (
        "HTTP_COOKIE" not in meta
        and meta.get("HTTP_AUTHORIZATION", "").startswith("Bearer ")
        and not request.path.startswith(FOR_PEOPLE)
    )


class _ForPeople:
    """Goes before a middleware among the base classes."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if is_program(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]  # of the middleware


class SessionMiddleware(_ForPeople, sessions.SessionMiddleware):
    pass


class AuthenticationMiddleware(authentication.AuthenticationMiddleware):
    def __call__(self, request: HttpRequest) -> Any:
        if is_program(request):
            request.user = AnonymousUser()
            return self.get_response(request)
        return super().__call__(request)


class MessageMiddleware(_ForPeople, messages.MessageMiddleware):
    pass


class HtmxMiddleware(_ForPeople, htmx.HtmxMiddleware):
    pass
