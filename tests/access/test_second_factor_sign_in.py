"""The second factor at each sign-in: each code is valid once, guesses are limited, and the password alone gives nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.second_factor import factors, pending
from tests.access.second_factors import (
    CODE,
    LOGIN,
    PASSWORD,
    STEP_S,
    App,
    acts,
    enrol,
    has_access,
    send_password,
)

pytestmark = pytest.mark.django_db


def test_the_password_is_not_enough_and_the_code_completes_the_sign_in(person: User, app: App) -> None:
    enrol(person, app)
    browser = send_password(person, "/dashboard/workers")
    before = browser.session.session_key
    assert not has_access(browser)
    assert "signed_in" not in acts()
    assert "ktrdr_device" not in browser.cookies
    response = browser.post(CODE, {"code": app.next_code(person)})
    assert (response.status_code, response["Location"]) == (302, "/dashboard/workers")
    assert has_access(browser)
    assert browser.session.session_key != before
    assert pending.KEY not in browser.session
    assert browser.cookies["ktrdr_device"]["httponly"]
    assert acts()[-1] == "signed_in"


@pytest.mark.parametrize("steps", range(-4, 5))
def test_a_code_is_valid_one_step_to_both_sides_of_the_clock(person: User, app: App, steps: int) -> None:
    enrol(person, app)
    app.now += 10 * STEP_S
    assert factors.verify(person, app.code(person, steps), Actor("test")) is (abs(steps) <= 1)


def test_a_code_is_valid_once_and_so_is_each_older_one(person: User, app: App) -> None:
    enrol(person, app)
    app.now += 10 * STEP_S
    used, older = app.code(person), app.code(person, -1)
    assert send_password(person).post(CODE, {"code": used}).status_code == 302
    for code in (used, older):
        browser = send_password(person)
        assert browser.post(CODE, {"code": code}).status_code == 200
        assert not has_access(browser)
    assert acts()[-1] == "second_factor_failed"


@pytest.mark.parametrize(
    "disguise",
    [str, str.upper, lambda code: code.replace("-", " "), lambda code: f" {code.replace('-', '')}\n"],
)
def test_a_recovery_code_works_once_however_it_is_typed(
    person: User, app: App, disguise: Callable[[str], str]
) -> None:
    code = disguise(enrol(person, app)[3])
    assert send_password(person).post(CODE, {"code": code}).status_code == 302
    assert send_password(person).post(CODE, {"code": code}).status_code == 200
    assert AuditEntry.objects.get(act="recovery_code_used").reason == "9 left"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_that_is_sent_twice_at_the_same_time_is_valid_once(person: User, app: App, kind: str) -> None:
    recovery = enrol(person, app)
    code = app.next_code(person) if kind == "app" else recovery[0]
    together = threading.Barrier(4)

    def send(_: int) -> bool:
        try:
            together.wait(60)
            return factors.verify(person, code, Actor("test"))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(send, range(4))) == [False, False, False, True]


FORGED = [
    "",
    " ",
    "12345",
    "1234567",
    "-12345",
    "+12345",
    "1_2345",
    "12345.",
    "１２３４５６",
    "٠١٢٣٤٥",
    "\x00" * 6,
    "x" * 9999,
]


@pytest.mark.parametrize("code", FORGED, ids=range(len(FORGED)))
def test_a_text_that_is_not_a_code_is_refused(person: User, app: App, code: str) -> None:
    enrol(person, app)
    assert send_password(person).post(CODE, {"code": code}).status_code == 200
    assert not factors.verify(person, code, Actor("test"))


def test_guesses_are_limited_by_user_and_a_known_browser_has_its_own_bucket(person: User, app: App) -> None:
    enrol(person, app)
    known = send_password(person)
    known.post(CODE, {"code": app.next_code(person)})
    known.post("/dashboard/logout")
    attacker = send_password(person)
    statuses = [attacker.post(CODE, {"code": "000000"}).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    refused = send_password(person).post(CODE, {"code": app.next_code(person)})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 100
    known.post(LOGIN, {"username": person.username, "password": PASSWORD})
    assert known.post(CODE, {"code": app.next_code(person)}).status_code == 302


@pytest.mark.parametrize("change", ["time", "password", "account", "none"])
def test_a_sign_in_that_waits_for_the_code_ends_with_time_password_or_account(
    person: User, app: App, change: str
) -> None:
    enrol(person, app)
    browser = send_password(person)
    session = browser.session
    if change == "time":
        session[pending.KEY] |= {"at": session[pending.KEY]["at"] - pending.MAX_AGE_S - 1}
        session.save()
    elif change == "password":
        person.set_password("another-long-password")
        person.save()
    elif change == "account":
        User.objects.filter(pk=person.pk).update(is_active=False)
    response = browser.post(CODE, {"code": app.next_code(person)})
    assert response.status_code == 302
    assert has_access(browser) is (change == "none")


def test_the_code_page_without_a_password_leads_to_the_sign_in_page(person: User, app: App) -> None:
    enrol(person, app)
    for response in (Client().get(CODE), Client().post(CODE, {"code": app.next_code(person)})):
        assert response["Location"] == LOGIN
