"""The OpenAPI document is true: requests generated from it get the described responses, and never a 5xx."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from pytest_django import DjangoDbBlocker
from schemathesis import Case, CheckContext, Response
from schemathesis.checks import not_a_server_error
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ktrdr_site.models import ApiToken
from tests.browser.population import populate


def not_a_failure(context: CheckContext, response: Response, case: Case) -> bool | None:
    """Reject 5xx, except the 503 for `queue: false` that reports the number of workers."""
    if response.status_code == 503 and "registered" in response.json():
        return None
    return not_a_server_error(context, response, case)


CHECKS = [
    not_a_failure,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENOUGH = 10
PARTS = 8
SETTINGS = settings(
    # Requests generated for each operation, besides the document's examples and the limits of each value.
    max_examples=6,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document() -> BaseSchema:
    loaded = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
    loaded.app = WSGIHandler()
    return loaded


@pytest.fixture(scope="module")
def token(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The token of a staff user on a site with some history. Created once: each test rolls back only its own changes."""
    with django_db_blocker.unblock(), transaction.atomic():
        staff = User.objects.create_user("documented", is_staff=True)
        populate(staff)
        yield ApiToken.issue(staff, "test")
        transaction.set_rollback(True)


@pytest.fixture
def authorization(token: str, db: None) -> Iterator[dict[str, str]]:
    """The header; meanwhile the test's connection stays open after a request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {token}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_response_matches_the_document(
    part: int, document: BaseSchema, authorization: dict[str, str], subtests: pytest.Subtests
) -> None:
    """In parts, so that none of them takes long."""
    chosen = document.include(lambda context: crc32(context.operation.label.encode()) % PARTS == part)
    refused: Counter[str] = Counter()

    def check(case: Case) -> None:
        """Of what only workers may request a few cases suffice: each is refused before it is read."""
        label = case.operation.label
        if refused[label] == ENOUGH:
            return
        with transaction.atomic():
            response = case.call_and_validate(headers=authorization, checks=CHECKS)
            transaction.set_rollback(True)
        refused[label] += response.status_code == 401

    for result in get_all_tests(schema=chosen, test_func=check, settings=SETTINGS, given_kwargs=None):
        operation, run_cases = result.ok()
        with subtests.test(operation.label):
            run_cases()


def test_the_document_has_examples_of_requests_and_responses(document: BaseSchema) -> None:
    paths = document.raw_schema["paths"]
    for path in ("/training/start", "/backtests/start", "/operations", "/workers/register"):
        assert paths[path]["post"]["requestBody"]["content"]["application/json"]["examples"], path
    for path in ("/training/start", "/backtests/start", "/operations", "/market-data"):
        assert "Idempotency-Key" in [parameter["name"] for parameter in paths[path]["post"]["parameters"]], (
            path
        )
        assert paths[path]["post"]["responses"]["202"]["content"]["application/json"]["examples"], path
    for path in ("/operations", "/workers", "/market-data", "/tokens", "/enrolment-tokens"):
        assert "Link" in paths[path]["get"]["responses"]["200"]["headers"], path
    read = paths["/operations/{operation_id}"]["get"]
    assert "If-None-Match" in [parameter["name"] for parameter in read["parameters"]]
    headers = [set(read["responses"][status]["headers"]) for status in ("200", "304")]
    assert headers == [{"ETag", "Retry-After"}] * 2
    refused = document.raw_schema["components"]["responses"]["Refused"]
    assert set(refused["content"]["application/problem+json"]["examples"]) == {"invalid", "conflict"}
