"""Each object that the API returns has the shape that the OpenAPI document describes; requests are about existing rows."""

import re

import pytest

from tests.access.callers import Callers, asked
from tests.api_document import document, schema_errors

pytestmark = pytest.mark.django_db
OF_AN_AGENT = "/workers/{worker_id}/metrics"
"""Asks the worker, which does not run here."""
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_each_object_has_the_documented_shape() -> None:
    callers = Callers.made()
    differences, described = {}, set()
    for path, methods in document()["paths"].items():
        if "get" not in methods or path == OF_AN_AGENT:
            continue
        address = re.sub(r"\{(\w+)\}", lambda match: str(callers.values[match[1]]), path)
        answer = asked(callers.tokens["staff"], "GET", address, {})
        contents = methods["get"]["responses"]["200"]["content"] if answer.status_code == 200 else PROBLEM
        content_type = answer["Content-Type"].partition(";")[0]
        if content_type not in contents:
            differences[address] = [content_type]
        elif content_type.endswith("json") and not answer.streaming:
            differences[address] = schema_errors(contents[content_type]["schema"], answer.json())
            described.add(path)
    assert {address: errors for address, errors in differences.items() if errors} == {}
    assert len(described) >= 20
    assert {"/operations", "/operations/{operation_id}/artifacts", "/studies/{study_id}"} <= described
