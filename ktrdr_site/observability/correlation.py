"""Gives each request the two ids by which every log finds it: `request_id` and `trace_id`."""

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from access.client_address import client_address
from worker_agent.trace import CURRENT, REQUEST_ID_HEADER, Trace


class CorrelationMiddleware(RequestMiddleware):
    """django-structlog's middleware, with the caller's ids validated first, since they are logged and stored."""

    def prepare(self, request: HttpRequest) -> None:
        trace = Trace.of(request.META.get("HTTP_X_REQUEST_ID"), request.META.get("HTTP_TRACEPARENT"))
        request.META["HTTP_X_REQUEST_ID"] = trace.request_id
        CURRENT.set(trace)
        structlog.contextvars.bind_contextvars(trace_id=trace.trace_id)
        super().prepare(request)

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        """Bind the address that everything else uses; the library's own believes every forwarded one."""
        structlog.contextvars.bind_contextvars(ip=client_address(request))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        response[REQUEST_ID_HEADER] = request.META["HTTP_X_REQUEST_ID"]
        super().handle_response(request, response)
        CURRENT.set(None)
