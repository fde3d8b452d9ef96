"""Unknown addresses and server errors: a page for people, a problem for programs."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from registry.api.workers import Workers

REQUEST_ID = "req-of-the-test"


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("a secret of the inside")


def test_an_unknown_address_is_a_problem_for_programs_and_a_page_for_people(client: Client) -> None:
    program, person = client.get("/tokens/none"), client.get("/dashboard/none")
    assert (program.status_code, person.status_code) == (404, 404)
    assert program.headers["Content-Type"] == "application/problem+json"
    assert program.json()["detail"] == "There is nothing at this address."
    assert "This page does not exist." in person.content.decode()
    assert "Sign out" not in person.content.decode(), "nobody is signed in"


def test_a_signed_in_user_keeps_the_navigation(client: Client, person: User) -> None:
    client.force_login(person)
    shown = client.get("/dashboard/operations/none").content.decode()
    assert "This page does not exist." in shown
    assert "Sign out" in shown


@pytest.fixture
def failing(person: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client of a signed-in user of a site whose overview and list of workers raise an error."""
    cache.clear()
    monkeypatch.setattr("dashboard.views.overview._live", fail)
    monkeypatch.setattr(Workers, "get", fail)
    client = Client(raise_request_exception=False, headers={"X-Request-ID": REQUEST_ID})
    client.force_login(person)
    return client


def test_a_failed_page_names_the_request_and_hides_the_reason(failing: Client) -> None:
    answer = failing.get("/dashboard/")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    shown = answer.content.decode()
    assert REQUEST_ID in shown
    assert "secret of the inside" not in shown


def test_a_failed_call_gets_a_problem_that_hides_the_reason(failing: Client) -> None:
    answer = failing.get("/workers", headers={"X-Request-ID": REQUEST_ID})
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["title"] == "Internal Server Error"
    assert REQUEST_ID in answer.json()["detail"]
    assert answer.json()["request_id"] == REQUEST_ID
    assert "secret of the inside" not in answer.content.decode()
