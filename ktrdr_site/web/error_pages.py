"""What is answered where no address fits, and where we failed: a page to people, a problem (RFC 9457) to programs."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework.exceptions import APIException, NotFound
from rest_framework.renderers import JSONRenderer

from access.problems import PROBLEM_JSON, exception_handler

PAGES = ("/dashboard/", "/admin/", "/static/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not request.path.startswith(PAGES):
        return _problem(NotFound("There is nothing at this address."))
    return render(request, "404.html", status=HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """After an exception that nobody expected, which is in the log with this request's id. Asks the database for nothing."""
    request_id = request.META.get("HTTP_X_REQUEST_ID", "")
    if not request.path.startswith(PAGES):
        return _problem(
            APIException(f"Something went wrong here; the log has it under the request {request_id}.")
        )
    page = render_to_string("500.html", {"request_id": request_id})
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(refusal: APIException) -> HttpResponse:
    answer = exception_handler(refusal, {})
    assert answer is not None, "it is one of the API's exceptions"
    return HttpResponse(
        JSONRenderer().render(answer.data), status=answer.status_code, content_type=PROBLEM_JSON
    )
