"""What the OpenAPI document says is so: requests made from it get answers that it describes, and never a 5xx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ktrdr_site.models import ApiToken
from tests.browser.population import populate

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
"""Requests made up for each operation, besides those that the document gives."""

document = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
document.app = WSGIHandler()


@pytest.fixture
def authorization(staff: Any) -> Iterator[dict[str, str]]:
    """Of a member of staff, on a site with some history. The connection of the test outlives a request."""
    populate(staff)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {ApiToken.issue(staff, 'test')}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_an_answer_is_as_the_document_says(case: Any, authorization: dict[str, str]) -> None:
    case.call_and_validate(headers=authorization, checks=CHECKS)


def test_an_address_that_is_none_is_a_problem_to_programs_and_a_page_to_people(client: Client) -> None:
    program, person = client.get("/tokens/none"), client.get("/dashboard/none")
    assert (program.status_code, person.status_code) == (404, 404)
    assert program.headers["Content-Type"] == "application/problem+json"
    assert program.json()["detail"] == "There is nothing at this address."
    assert person.headers["Content-Type"].startswith("text/html")
