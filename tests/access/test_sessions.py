"""A session ends: after a time without use, after a time in all, and with its user's password or account."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from ktrdr_site.accounts import session_limits
from ktrdr_site.accounts.session_limits import SIGNED_IN_AT, USED_AT

pytestmark = pytest.mark.django_db
HOUR_S = 3600


@pytest.fixture
def browser(person: User, settings: Any) -> Client:
    settings.SESSION_IDLE_DAYS, settings.SESSION_MAX_DAYS = 1.0, 7.0
    client = Client()
    client.force_login(person)
    return client


def shift(browser: Client, **seconds: float) -> None:
    """Make times of the session older by so many seconds."""
    session = browser.session
    for key, age in seconds.items():
        session[key] = int(time.time() - age)
    session.save()


def is_signed_in(browser: Client, **headers: str) -> bool:
    status = browser.get("/operations", headers=headers).status_code
    assert status in (200, 401)
    return status == 200


@pytest.mark.parametrize(
    ("signed_in_h", "used_h", "lives"),
    [(0, 0, True), (23, 23, True), (25, 25, False), (100, 1, True), (169, 0, False), (100, 25, False)],
)
def test_a_session_ends_after_a_time_without_use_and_after_a_time_in_all(
    browser: Client, signed_in_h: int, used_h: int, lives: bool
) -> None:
    shift(browser, **{SIGNED_IN_AT: signed_in_h * HOUR_S, USED_AT: used_h * HOUR_S})
    assert is_signed_in(browser) is lives
    assert is_signed_in(browser) is lives
    assert Session.objects.exists() is lives


def test_a_use_extends_a_session_and_a_page_that_updates_itself_does_not(browser: Client) -> None:
    shift(browser, **{USED_AT: 23 * HOUR_S})
    before = browser.session[USED_AT]
    assert is_signed_in(browser, **{"HX-Request": "true"})
    assert browser.session[USED_AT] == before
    assert is_signed_in(browser)
    assert browser.session[USED_AT] - before >= 22 * HOUR_S


def test_a_use_is_stored_at_most_once_a_minute(browser: Client, django_assert_num_queries: Any) -> None:
    browser.get("/health")
    shift(browser, **{USED_AT: session_limits.RESOLUTION_S - 10})
    before = browser.session[USED_AT]
    browser.get("/operations")
    assert browser.session[USED_AT] == before


def test_a_session_from_before_this_limit_ends(browser: Client) -> None:
    session = browser.session
    del session[SIGNED_IN_AT]
    session.save()
    assert not is_signed_in(browser)


def test_the_cookie_lives_no_longer_than_a_session(person: User, settings: Any) -> None:
    client = Client()
    client.post("/dashboard/login", {"username": person.username, "password": "a-long-enough-password"})
    age = client.cookies["sessionid"]["max-age"]
    assert age == settings.SESSION_COOKIE_AGE == 14 * 24 * HOUR_S
    assert Session.objects.get().expire_date - timezone.now() <= timedelta(days=14)


def test_a_session_ends_with_the_account_and_with_the_password(browser: Client, person: User) -> None:
    other = Client()
    other.force_login(person)
    person.is_active = False
    person.save()
    assert not is_signed_in(browser)
    person.is_active = True
    person.set_password("another-long-password")
    person.save()
    assert not is_signed_in(other)
