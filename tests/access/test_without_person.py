"""Everything that responds without a person does so whatever session a browser sends along."""

from typing import Any

import pytest
from django.conf import settings as site_settings
from django.test import Client

from ktrdr_site.web.programs import FOR_PEOPLE
from tests.access.callers import Callers, asked, bearer, member
from tests.access.routes import AGAIN, Route, all_routes
from tests.access.second_factors import signed_in
from tests.access.test_table import read_documented

pytestmark = pytest.mark.django_db
PAGES = ("dashboard/", "docs/")
VARYING = ("X-Request-ID", "Content-Length", "Expires", "ETag", "Last-Modified", "Retry-After")
"""Headers that depend on the time or on the request's id."""
ELSEWHERE = ("/livez", "/api/v1/livez", "/static/missing.css", "/healthz", "/nothing")


@pytest.fixture
def callers(settings: Any) -> Callers:
    """People whose role requires a second factor that they have not set up."""
    settings.REQUIRE_SECOND_FACTOR = "viewer"
    return Callers.made()


def rows_open_to(column: str) -> list[tuple[str, Route]]:
    """Return the method and the route of each row of the API that gives the column access."""
    return [
        (method, Route(pattern, None))
        for (method, pattern), cells in read_documented().items()
        if cells[column] == "yes" and pattern and not pattern.startswith(PAGES)
    ]


def status(client: Client, method: str, address: str) -> int:
    return int(asked(client, method, address, {}).status_code)


def with_cookies_of(client: Client, browser: Client) -> Client:
    both = Client(headers={"Authorization": client.defaults["HTTP_AUTHORIZATION"]})
    both.cookies = browser.cookies
    return both


def test_what_is_open_to_everybody_is_open_to_a_session_without_its_second_factor(callers: Callers) -> None:
    rows = rows_open_to("anonymous")
    assert ("GET", Route("health", None)) in rows
    addresses = {(method, callers.address(route, "staff")) for method, route in rows}
    doubled = {route.pattern for route in all_routes() if route.pattern.startswith(AGAIN)}
    addresses |= {(m, f"/{AGAIN}{r.pattern}") for m, r in rows if f"{AGAIN}{r.pattern}" in doubled}
    addresses |= {("GET", address) for address in ELSEWHERE}
    different = {
        (method, address, name)
        for method, address in addresses
        for name in ("viewer", "operator", "staff")
        if status(callers.clients[name], method, address)
        != status(callers.clients["anonymous"], method, address)
    }
    assert not different


@pytest.mark.parametrize("column", ["worker", "enrolment", "staff"])
def test_a_token_opens_the_same_with_such_a_session(callers: Callers, column: str) -> None:
    client = callers.tokens[column] if column in callers.tokens else callers.clients[column]
    both = with_cookies_of(client, callers.clients["viewer"])
    rows = rows_open_to(column)
    assert len(rows) > 4
    different = [
        (method, address)
        for method, route in rows
        if status(both, method, address := callers.address(route, column)) != status(client, method, address)
    ]
    assert not different


def response_to(client: Client, method: str, address: str) -> tuple[int, dict[str, str]]:
    response = asked(client, method, address, {})
    return response.status_code, {k: v for k, v in response.headers.items() if k not in VARYING}


@pytest.mark.parametrize("name", ["operator", "nobody"])
def test_a_program_gets_the_same_response_as_a_browser_with_its_token(callers: Callers, name: str) -> None:
    """A request with a token and no cookie passes the parts that serve people (`ktrdr_site.web.programs`)."""
    program = callers.tokens[name] if name in callers.tokens else bearer("of-nobody")
    browser = bearer("")
    browser.defaults.update(program.defaults)
    browser.cookies["theme"] = "dark"
    rows = [(method, Route(pattern, None)) for method, pattern in read_documented()]
    requests = {(method, callers.address(route, "operator")) for method, route in rows}
    requests |= {(method, f"/api/v1{address}") for method, address in requests if address == "/operations"}
    programs = {address for _, address in requests if not address.startswith(FOR_PEOPLE)}
    assert len(programs) > 60
    different = [
        (method, address)
        for method, address in sorted(requests)
        if response_to(program, method, address) != response_to(browser, method, address)
    ]
    assert not different


@pytest.mark.parametrize("address", ["/dashboard/", "/shared/nothing", "/"])
def test_a_token_does_not_change_the_response_of_a_page(callers: Callers, address: str) -> None:
    expected = response_to(callers.clients["anonymous"], "GET", address)
    assert response_to(callers.tokens["staff"], "GET", address) == expected


@pytest.mark.parametrize("token", ["", "Bearer of-nobody", "Basic YTpi", "Bearer"])
def test_an_invalid_token_does_not_give_such_a_session_access(callers: Callers, token: str) -> None:
    browser = Client(headers={"Authorization": token})
    browser.cookies = callers.clients["staff"].cookies
    assert browser.get("/operations").status_code == 401
    assert browser.get("/metrics").status_code == 401


@pytest.mark.parametrize("address", ["/health", "/api/v1/health", "/static/missing.css"])
def test_liveness_and_static_files_need_no_database(address: str, django_assert_num_queries: Any) -> None:
    browser = signed_in(member("staff"))
    assert site_settings.SESSION_COOKIE_NAME in browser.cookies
    with django_assert_num_queries(0):
        browser.get(address)
