"""A program that accepts everything gets what the library would choose, and everybody else the library's choice."""

import pytest
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from access.browsable import Browsable
from access.negotiation import Negotiation

RENDERERS: list[BaseRenderer] = [JSONRenderer(), Browsable()]


def choose(chooser: DefaultContentNegotiation, query: str, accept: str | None) -> object:
    headers = {} if accept is None else {"accept": accept}
    request = Request(APIRequestFactory().get(f"/operations{query}", headers=headers))
    try:
        return chooser.select_renderer(request, RENDERERS)
    except NotAcceptable:
        return None


@pytest.mark.parametrize("query", ["", "?status=PENDING", "?format=json", "?format=api"])
@pytest.mark.parametrize(
    "accept",
    [None, "*/*", "application/json", "text/html", "text/html, */*;q=0.1", "*/*; indent=2", "image/png", ""],
)
def test_the_choice_is_that_of_the_library(query: str, accept: str | None) -> None:
    assert choose(Negotiation(), query, accept) == choose(DefaultContentNegotiation(), query, accept)
