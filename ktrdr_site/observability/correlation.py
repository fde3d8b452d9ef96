"""Gives each request the two ids by which every log finds it: `request_id` and `trace_id`."""

from http import HTTPStatus

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from access.client_address import client_address
from worker_agent.trace import CURRENT, REQUEST_ID_HEADER, Trace


class CorrelationMiddleware(RequestMiddleware):
    """django-structlog's middleware, with the caller's ids validated first, since they are logged and stored.

    Only refused and failed requests have a line of their own (`logs.py`). The library builds one at the start and at the
    end of each request, also where the level drops it, which takes as long as a statement of the database.
    """

    def prepare(self, request: HttpRequest) -> None:
        trace = Trace.of(request.META.get("HTTP_X_REQUEST_ID"), request.META.get("HTTP_TRACEPARENT"))
        request.META["HTTP_X_REQUEST_ID"] = trace.request_id
        CURRENT.set(trace)
        structlog.contextvars.bind_contextvars(
            request_id=trace.request_id, trace_id=trace.trace_id, ip=client_address(request)
        )
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            self.bind_user_id(request)

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        response[REQUEST_ID_HEADER] = request.META["HTTP_X_REQUEST_ID"]
        is_refused = response.status_code >= HTTPStatus.BAD_REQUEST
        if is_refused or response.streaming or hasattr(request, "_raised_exception"):
            super().handle_response(request, response)
        else:
            structlog.contextvars.clear_contextvars()
        CURRENT.set(None)
