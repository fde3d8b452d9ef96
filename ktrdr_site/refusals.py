"""What is answered where no address fits: a page to people in a browser's pages, a problem (RFC 9457) to programs."""

from django.http import HttpRequest, HttpResponseNotFound
from django.http.response import HttpResponseBase
from django.views.defaults import page_not_found
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer

from registry.rest import PROBLEM_JSON, problem

PAGES = ("/dashboard/", "/admin/", "/static/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if request.path.startswith(PAGES):
        return page_not_found(request, exception)
    answer = problem(NotFound("There is nothing at this address."), {})
    assert answer is not None, "NotFound is one of the API's exceptions"
    return HttpResponseNotFound(JSONRenderer().render(answer.data), content_type=PROBLEM_JSON)
