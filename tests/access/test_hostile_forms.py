"""No field of a form, whatever is typed into it, is answered by an error of the server."""

import copy
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve

from tests.access.callers import QUERIES, Callers
from tests.access.routes import own_routes
from tests.page_forms import Fields, read_forms

pytestmark = pytest.mark.django_db

TYPED = {
    "NUL": "a\x00b",
    "surrogate": "\udc80",
    "digits": "9" * 5000,
    "integer": str(2**63),
    "other digits": "٣²",
    "long": "x" * 70_000,
    "path": "../../x",
    "controls": "\x1b]0;x\x07\u202e",
    "NaN": "nan",
    "exponent": "1e999999999",
    "negative": "-1",
    "date": "9999-12-31T23:59",
    "nothing": "",
    "markup": "<script>'\"{{ x }}%s",
    "lines": "\r\n\t: {a: [",
}
FURTHER = (
    "/dashboard/new/backtesting",
    "/dashboard/new/data_import",
    "/dashboard/studies/new?kind=decisions",
    "/dashboard/studies/new?kind=rules",
    "/dashboard/studies/new?kind=training",
    "/dashboard/runs",
    "/dashboard/login",
)
"""Pages whose forms depend on the address beyond the route."""


def forms_of(client: Client, callers: Callers) -> dict[tuple[str, frozenset[str]], tuple[str, Fields]]:
    """Return address and fields of each form of the site, by view and names of its fields."""
    routes = [route for route in own_routes() if route.pattern.startswith("dashboard")]
    pages = [
        f"{callers.address(route, 'staff')}?{QUERIES.get(route.pattern, '').format(**callers.values)}"
        for route in routes
    ]
    forms = {}
    for page in (*pages, *FURTHER):
        answer = client.get(page)
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            continue
        for form in read_forms(answer.content.decode()):
            fields = form.fields | form.buttons
            for action in form.addresses:
                address = urljoin(page, action)
                key = resolve(urlsplit(address).path).view_name, frozenset(fields)
                forms.setdefault(key, (address, fields))
    return forms


def contents(fields: Fields, kinds: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str, Fields]]:
    """Yield field, kind and content: the form as its page fills it, but for one field."""
    for number, name in enumerate(fields):
        kind, typed = next(kinds)
        yield name, kind, {**fields, name: [typed]}
        if number % 2:
            yield name, "missing", {other: values for other, values in fields.items() if other != name}
        else:
            yield name, "many", {**fields, name: ["1"] * 500}


def post(client: Client, address: str, content: Fields) -> Any:
    """Send a form and leave nothing behind."""
    cookies = copy.deepcopy(client.cookies)
    body = urlencode(content, doseq=True, errors="surrogatepass")
    with transaction.atomic():
        point = transaction.savepoint()
        answer = client.generic("POST", address, body, content_type="application/x-www-form-urlencoded")
        transaction.savepoint_rollback(point)
    client.cookies = cookies
    return answer


def test_no_form_is_answered_by_a_500() -> None:
    callers = Callers.made()
    client = callers.clients["staff"]
    client.raise_request_exception = False
    kinds = cycle(TYPED.items())
    forms = forms_of(client, callers)
    faults = []
    for (view, _), (address, fields) in forms.items():
        for name, kind, content in contents(fields, kinds):
            answer = post(client, address, content)
            if answer.status_code >= 500 and answer.status_code != 503:
                error = getattr(answer, "exc_info", ("",))[:2]
                faults.append(f"{view} {re.sub('[0-9a-f]{8,}', '', address)}, {name}, {kind}: {error}"[:400])
    assert len(forms) > 40, "the forms of the site were found"
    assert not faults, "\n".join(faults)
