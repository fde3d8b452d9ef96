"""No body, header or text of a request is an error of the server, and none fills the disk or the memory."""

import copy
import io
import json
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.test import Client

from access.body_limits import PAGE_BYTES, max_bytes_of
from access.json_bodies import MAX_DEPTH, is_deeper
from operations import artifacts
from operations.api.workers import MAX_MESSAGE
from operations.models import Operation
from operations.received_files import MAX_FILE_BYTES
from tests.access.callers import Callers, asked
from tests.access.routes import Route, methods, own_routes
from tests.registry.test_registration import MESSAGE

pytestmark = pytest.mark.django_db
DEPTHS = (MAX_DEPTH + 1, 900, 960, 100_000)


@pytest.fixture
def callers() -> Callers:
    return Callers.made()


def nest(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


HOSTILE: dict[str, bytes] = {
    **{f"arrays {depth}": nest(depth, "[", "]") for depth in DEPTHS},
    **{f"objects {depth}": nest(depth, '{"a":', "}") for depth in DEPTHS},
    "open brackets": b"[" * 100_000,
    "NUL": b'{"name": "a\\u0000b", "strategy_yaml": "\\u0000", "reason": "\\u0000", "endpoint_url": "\\u0000"}',
    "surrogate": b'{"name": "\\ud800", "strategy_yaml": "\\udfff", "operation_type": "\\ud800"}',
    "huge integer": b'{"priority": ' + b"9" * 10_000 + b"}",
    "infinity": b'{"priority": Infinity, "initial_capital": NaN}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "empty": b"",
    "an array": b"[]",
    "null": b"null",
    "a text": b'"text"',
    "not JSON": b"{'a': 1}",
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
}


def posting_routes(callers: Callers) -> list[tuple[str, Route]]:
    def status_of(route: Route, method: str) -> int:
        address = callers.address(route, "staff")
        return int(asked(callers.clients["anonymous"], method, address, {}).status_code)

    return [
        (method, route)
        for route in own_routes()
        for method in methods(route, partial(status_of, route))
        if method in ("POST", "PUT")
    ]


def test_no_json_body_is_an_error_of_the_server(callers: Callers) -> None:
    routes = posting_routes(callers)
    assert len(routes) > 20
    for (method, route), (name, body) in [(route, item) for route in routes for item in HOSTILE.items()]:
        for caller in ("staff", "worker", "enrolment"):
            client = callers.clients[caller]
            answer = client.generic(
                method, callers.address(route, caller), body, content_type="application/json"
            )
            assert answer.status_code < 500, f"{method} {route.pattern} by {caller}: {name}"


@pytest.mark.parametrize(
    "url",
    ["http://a\x00b:1", "http://\x00", "http://a.\x00:1", f"http://{'a' * 64}.example:1", "http://[::1", "http://a:99999", "http://é\udc80:1"],
    ids=ascii,
)  # fmt: skip
def test_no_address_of_a_worker_is_an_error_of_the_server(callers: Callers, url: str) -> None:
    body = {**MESSAGE, "endpoint_url": url}
    answer = callers.clients["enrolment"].post(
        "/workers/register", json.dumps(body), content_type="application/json"
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "token", ["é", "ktw_é.é", "ktp_é", "ktw_" + "é" * 500 + ".x", "\x7f", "ktw_===.=", "ktw_AAAA.\xff"]
)
def test_no_bearer_token_is_an_error_of_the_server(token: str) -> None:
    client = Client()
    for path in ("/operations", "/workers/register", "/workers/deregister", "/operations/x/report"):
        answer = client.generic("POST", path, b"{}", HTTP_AUTHORIZATION=f"Bearer {token}")
        assert answer.status_code == 401, path


def test_depth_counts_only_brackets_outside_of_texts() -> None:
    assert not is_deeper(b'{"a": "[[[[", "b": "\\"[[[", "c": [1], "d": [{}]}', 3)
    assert not is_deeper(nest(MAX_DEPTH, "[", "]"), MAX_DEPTH)
    assert is_deeper(nest(MAX_DEPTH + 1, "[", "]"), MAX_DEPTH)
    assert is_deeper(b'["a", "\\\\", ' + nest(3, "[", "]") + b"]", 3)


# Sizes ------------------------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


def send_unreadable(client: Client, method: str, path: str, size: int, content_type: str) -> Any:
    """Send a form whose body has the announced size and fails when it is read, with a cookie that anybody can set."""
    sender = Client(enforce_csrf_checks=True)
    sender.cookies = copy.deepcopy(client.cookies)
    sender.cookies["csrftoken"] = "a" * 32
    body = {"wsgi.input": Endless(), "CONTENT_LENGTH": str(size), "CONTENT_TYPE": content_type}
    return sender.generic(method, path, **body)


FORMS = ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize("caller", ["anonymous", "viewer"])
def test_a_large_form_is_refused_unread_wherever_it_is_sent(
    callers: Callers, caller: str, content_type: str
) -> None:
    for method, route in posting_routes(callers):
        if getattr(route.view, "csrf_exempt", False) and caller == "anonymous":
            continue  # the API asks for credentials first, which the next test checks
        answer = send_unreadable(
            callers.clients[caller], method, callers.address(route, caller), PAGE_BYTES + 1, content_type
        )
        assert answer.status_code == 413, f"{method} {route.pattern}"
        assert answer.json()["detail"] == f"A body may have at most {PAGE_BYTES} bytes."


@pytest.mark.parametrize("content_type", [*FORMS, "application/json"])
def test_the_api_reads_no_body_of_a_stranger(callers: Callers, content_type: str) -> None:
    for method, route in posting_routes(callers):
        if getattr(route.view, "csrf_exempt", False):
            answer = send_unreadable(Client(), method, callers.address(route, "staff"), 1000, content_type)
            assert answer.status_code == 401, f"{method} {route.pattern}"


def test_an_unknown_address_accepts_no_large_form() -> None:
    for path in ("/nothing", "/dashboard/nothing", "/admin/nothing", "/static/nothing"):
        assert send_unreadable(Client(), "POST", path, PAGE_BYTES + 1, FORMS[0]).status_code == 413


def test_each_upload_has_its_own_limit(callers: Callers, settings: Any, rf: Any) -> None:
    def limit(path: str, caller: str) -> int:
        request = rf.post(path)
        request.user = callers.values["people"].get(caller) or AnonymousUser()
        return max_bytes_of(request)

    sha256 = "0" * 64
    for path, caller, expected in [
        ("/dashboard/new/data_import", "operator", MAX_FILE_BYTES + 64 * 1024),
        ("/dashboard/new/data_import", "viewer", PAGE_BYTES),
        ("/dashboard/new/data_import", "anonymous", PAGE_BYTES),
        ("/market-data", "operator", MAX_FILE_BYTES + 64 * 1024),
        ("/market-data/preview", "operator", MAX_FILE_BYTES + 64 * 1024),
        ("/market-data/preview", "viewer", PAGE_BYTES),
        ("/api/v1/market-data", "operator", MAX_FILE_BYTES + 64 * 1024),
        ("/market-data", "viewer", PAGE_BYTES),
        (f"/artifacts/{sha256}", "worker", artifacts.MAX_SIZE),
        ("/operations/x/report", "worker", MAX_MESSAGE),
        ("/training/start", "operator", settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
        ("/dashboard/act", "operator", PAGE_BYTES),
        ("/dashboard/login", "anonymous", PAGE_BYTES),
    ]:
        assert limit(path, caller) == expected, (path, caller)


def test_a_form_of_a_page_leaves_no_file_behind(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    spooled: list[str] = []
    monkeypatch.setattr(
        TemporaryFileUploadHandler, "new_file", lambda self, *args, **kwargs: spooled.append("file")
    )
    boundary = b"--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n"
    body = boundary + b"0" * (PAGE_BYTES + 1) + b"\r\n--x--\r\n"
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    answer = client.generic("POST", "/dashboard/login", body, content_type=FORMS[0])
    assert answer.status_code == 413
    assert spooled == []
    assert not Operation.objects.filter(operation_type="data_import", created_by=None).exists()
