"""What cannot be stored or computed is refused in a sentence with its place, by every route that takes JSON."""

import json
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from django.db import DataError
from django.test import Client

from access.problems import exception_handler
from tests.access.callers import Callers, asked
from tests.access.routes import Route, own_routes
from tests.api_document import document

pytestmark = pytest.mark.django_db


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


KINDS = {
    "NUL": "a\x00b",
    "surrogate": "\udc80",
    "surrogate in a list": ["\udc80"],
    "NUL in a key": {"\x00": "\x00"},
    "integer": 2**63,
    "long integer": 10**400,
    "NaN": float("nan"),
    "deep": nest(150),
    "digits": "9" * 5000,
    "other digits": "٣²",
    "long": "x" * 70_000,
    "path": "../../x",
    "controls": "\x1b]0;x\x07\u202e",
    "many": ["x"] * 2000,
    "nothing": None,
}


@pytest.fixture
def callers() -> Callers:
    return Callers.made()


def properties_of(schema: dict[str, Any]) -> list[str]:
    """Return the names of the fields of a body."""
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name, ())]
    return [*schema.get("properties", ()), *(name for part in parts for name in properties_of(part))]


def bodies() -> Iterator[tuple[str, Route, str, Any]]:
    """Yield method, route, kind and body: the example of each call, in which one field has a value of the next kind."""
    kinds = cycle(KINDS.items())
    for route in own_routes():
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.pattern)
        for method, call in document()["paths"].get(path, {}).items():
            media = call.get("requestBody", {}).get("content", {}).get("application/json")
            if media is None:
                continue
            example = next((one["value"] for one in media.get("examples", {}).values()), {})
            for field in properties_of(media["schema"]):
                kind, value = next(kinds)
                yield method.upper(), route, kind, {**example, field: value}
            kind, value = next(kinds)
            yield method.upper(), route, kind, value


def test_no_body_is_answered_by_a_500(callers: Callers) -> None:
    client, seen, faults = callers.clients["staff"], set(), []
    client.raise_request_exception = False
    for method, route, kind, content in bodies():
        seen.add(kind)
        answer = send(client, method, callers.address(route, "staff"), content)
        place = f"{method} /{route.pattern}, {kind}"
        if answer.status_code >= 500 and answer.status_code != 503:
            faults.append(f"{place}: {answer.status_code} {getattr(answer, 'exc_info', ('',))[:2]}")
        elif answer.status_code == 422 and not (0 < len(answer.json()["detail"]) < 400):
            faults.append(f"{place}: {len(answer.json()['detail'])} characters")
        elif b'"pointer":"","detail":"The text contains' in answer.content:
            faults.append(f"{place}: refused without its place")
    assert seen == set(KINDS)
    assert not faults, "\n".join(faults)


def send(client: Client, method: str, address: str, content: Any) -> Any:
    """Send JSON that leaves nothing behind."""
    return asked(client, method, address, {}, json.dumps(content))


def test_a_batch_is_refused_for_an_awaited_operation_whose_id_nothing_can_store(callers: Callers) -> None:
    for text in ("\udc80", "\x00"):
        content = {"operations": [{"operation_type": "training", "after": [text]}]}
        answer = send(callers.clients["staff"], "POST", "/operations/batch", content)
        assert answer.status_code == 422
        assert "/operations/0/after/0" in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (UnicodeEncodeError("utf-8", "a\udc80", 1, 2, "surrogates not allowed"), r"character \udc80, which"),
        (DataError("smallint\nout of range"), "cannot be stored: smallint out of range."),
    ],
)
def test_what_no_view_has_noticed_is_refused_too(error: Exception, detail: str) -> None:
    answer = exception_handler(error, {})
    assert answer is not None
    assert answer.status_code == 422
    assert detail in answer.data["errors"][0]["detail"]


def test_other_errors_of_encoding_are_defects() -> None:
    assert exception_handler(UnicodeEncodeError("ascii", "ü", 0, 1, "ordinal not in range(128)"), {}) is None
