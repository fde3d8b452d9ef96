"""No shared cache keeps a response of a user, and no page may use a feature of the browser that the product does not."""

from functools import partial

import pytest
from django.test import Client

from ktrdr_site.web.response_headers import UNUSED_FEATURES
from tests.access.callers import Callers, asked
from tests.access.routes import methods, own_routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def callers() -> Callers:
    return Callers.made()


def status_of(address: str, method: str) -> int:
    return int(asked(Client(), method, address, {}).status_code)


def directives(header: str) -> set[str]:
    return {part.strip() for part in header.split(",")}


@pytest.mark.parametrize("caller", ["anonymous", "staff", "worker"])
def test_every_response_is_kept_by_nobody_or_by_one_browser_only(callers: Callers, caller: str) -> None:
    client, seen = callers.clients[caller], 0
    for route in own_routes():
        address = callers.address(route, caller)
        for method in methods(route, partial(status_of, address)):
            response = asked(client, method, address, {})
            caching = directives(response["Cache-Control"])
            assert "private" in caching, f"{method} /{route.pattern}: {caching}"
            assert caching & {"no-store", "no-cache"}, f"{method} /{route.pattern}: {caching}"
            assert "public" not in caching
            assert response["Permissions-Policy"].count("=()") == len(UNUSED_FEATURES)
            seen += 1
    assert seen > 60


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/operations", {"private", "no-store"}),
        ("/health", {"private", "no-store"}),
        ("/nothing", {"private", "no-store"}),
    ],
)
def test_data_is_kept_nowhere(path: str, expected: set[str]) -> None:
    assert directives(Client().get(path)["Cache-Control"]) == expected


def test_a_file_may_be_kept_by_its_reader_and_is_checked_again(callers: Callers) -> None:
    response = callers.clients["viewer"].get(f"/artifacts/{callers.values['sha256']}")
    assert directives(response["Cache-Control"]) == {"private", "no-cache"}
    assert response["ETag"] == f'"{callers.values["sha256"]}"'
    b"".join(response.streaming_content)  # type: ignore[arg-type]  # closes the file
