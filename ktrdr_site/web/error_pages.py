"""Responses for unknown addresses and server errors: a page for people, a problem (RFC 9457) for programs."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework.exceptions import APIException, NotFound, PermissionDenied

from access.problems import problem_response

PAGES = ("/dashboard/", "/docs/", "/admin/", "/static/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not request.path.startswith(PAGES):
        return problem_response(NotFound("There is nothing at this address."))
    return render(request, "404.html", status=HTTPStatus.NOT_FOUND)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Respond to a form without a valid CSRF token: usually the page was open while the user signed in again."""
    if not request.path.startswith(PAGES):
        return problem_response(PermissionDenied(f"The CSRF check failed: {reason.rstrip('.')}."))
    return render(
        request, "csrf.html", {"form_page": request.META.get("HTTP_REFERER", "")}, status=HTTPStatus.FORBIDDEN
    )


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Respond after an unexpected exception, which is logged with this request's id. Makes no database query."""
    request_id = request.META.get("HTTP_X_REQUEST_ID", "")
    if not request.path.startswith(PAGES):
        return problem_response(APIException(f"Internal error; see the log for request {request_id}."))
    page = render_to_string("500.html", {"request_id": request_id})
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)
