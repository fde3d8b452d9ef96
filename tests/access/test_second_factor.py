"""A second factor: set up with the password, required by role, reset by staff."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.sites import site as administration
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django_otp.plugins.otp_totp.models import TOTPDevice

from access import throttling
from access.actors import Actor
from access.models import Failures
from ktrdr_site.models import ApiToken, RecoveryCode
from ktrdr_site.second_factor import factors
from tests.access.callers import bearer, member
from tests.access.second_factors import (
    CODE,
    LOGIN,
    OWN,
    PASSWORD,
    App,
    acts,
    enrol,
    has_access,
    send_password,
    signed_in,
)

pytestmark = pytest.mark.django_db


# Setting up ---------------------------------------------------------------------------------------------------


def test_a_user_sets_it_up_with_the_password_and_a_code_and_the_secrets_are_shown_once(
    person: User, app: App
) -> None:
    browser, other = signed_in(person), signed_in(person)
    started = browser.post(f"{OWN}/start", {"password": PASSWORD})
    page = started.content.decode()
    assert started.status_code == 200
    assert "no-store" in started["Cache-Control"]
    drawing = started.context["qr_code"]
    assert drawing in page
    assert not re.search(
        r"style|href|script|url|\bon", drawing.replace('xmlns="http://www.w3.org/2000/svg"', "")
    )
    assert started.context["key"] in page
    assert not factors.has_factor(person), "it counts once a code is confirmed"
    confirmed = browser.post(f"{OWN}/confirm", {"code": app.next_code(person)})
    codes = confirmed.context["codes"].split()
    assert len(set(codes)) == factors.RECOVERY_CODES
    assert all(code in confirmed.content.decode() for code in codes)
    assert has_access(browser), "the session that set it up goes on"
    assert not has_access(other), "other sessions gave no second factor"
    later = browser.get(OWN).content.decode()
    assert started.context["key"] not in later
    assert not any(code in later for code in codes)
    assert set(codes).isdisjoint(RecoveryCode.objects.values_list("sha256", flat=True)), (
        "only hashes are stored"
    )
    assert acts() == ["second_factor_added"]


@pytest.mark.parametrize(
    ("act", "form"),
    [
        ("start", {"password": "wrong"}),
        ("start", {}),
        ("confirm", {"code": "000000"}),
        ("confirm", {"code": ""}),
    ],
)
def test_neither_a_stolen_session_nor_a_wrong_code_sets_it_up(
    person: User, app: App, act: str, form: dict[str, str]
) -> None:
    browser = signed_in(person)
    if act == "confirm":
        factors.start(person)
    response = browser.post(f"{OWN}/{act}", form)
    assert response.status_code == 422
    assert "key" not in response.context
    assert not factors.has_factor(person)


def test_a_second_app_does_not_replace_the_first(person: User, app: App) -> None:
    enrol(person, app)
    browser = send_password(person)
    browser.post(CODE, {"code": app.next_code(person)})
    assert browser.post(f"{OWN}/start", {"password": PASSWORD}).status_code == 422
    assert browser.post(f"{OWN}/confirm", {"code": app.next_code(person)}).status_code == 422


@pytest.mark.parametrize("act", ["codes", "remove"])
def test_recovery_codes_and_removal_need_a_code_and_guesses_are_limited(
    person: User, app: App, act: str
) -> None:
    old = enrol(person, app)
    browser = send_password(person)
    browser.post(CODE, {"code": app.next_code(person)})
    for _ in range(throttling.CODE_BY_USER.burst):
        assert "is wrong" in browser.post(f"{OWN}/{act}", {"code": "000000"}).context["problem"]
    assert "Try again in" in browser.post(f"{OWN}/{act}", {"code": app.next_code(person)}).context["problem"]
    Failures.objects.all().delete()
    response = browser.post(f"{OWN}/{act}", {"code": app.next_code(person)})
    assert (response.status_code, factors.has_factor(person)) == (
        (200, True) if act == "codes" else (302, False)
    )
    assert not factors.verify(person, old[0], Actor("test")), "the old recovery codes are gone"
    assert has_access(browser)


def test_an_unknown_act_is_not_found(person: User) -> None:
    assert signed_in(person).post(f"{OWN}/nothing").status_code == 404


# Required by role ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("required", ["off", "staff", "operator", "viewer"])
@pytest.mark.parametrize("role", ["viewer", "operator", "staff"])
def test_a_role_that_requires_it_gives_no_access_before_it_is_set_up(
    settings: Any, app: App, required: str, role: str
) -> None:
    settings.REQUIRE_SECOND_FACTOR = required
    order = ["viewer", "operator", "staff", "off"]
    is_required = order.index(role) >= order.index(required)
    user = member(role)
    browser, token = signed_in(user), bearer(ApiToken.issue(user))
    assert has_access(browser) is not is_required
    assert token.get("/operations").status_code == 200, "API tokens need no second factor"
    if not is_required:
        return
    assert browser.get("/dashboard/")["Location"] == OWN
    assert {browser.get(page)["Location"] for page in ("/admin/", "/docs/", "/")} == {OWN}
    refused = browser.post("/tokens", {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"
    assert OWN in refused.json()["detail"]
    assert ApiToken.objects.count() == 1
    browser.post(f"{OWN}/start", {"password": PASSWORD})
    browser.post(f"{OWN}/confirm", {"code": app.next_code(user)})
    assert has_access(browser)


def test_a_user_who_must_set_it_up_can_still_sign_out(settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "viewer"
    browser = signed_in(member("viewer"))
    assert browser.post("/dashboard/logout")["Location"] == LOGIN
    assert not Session.objects.exists()


# Lost ---------------------------------------------------------------------------------------------------------


def reset_by_staff(user: User) -> None:
    signed_in(member("staff")).post(f"/dashboard/users/{user.pk}/reset-second-factor")


def reset_by_command(user: User) -> None:
    call_command("reset_second_factor", user.username)


@pytest.mark.parametrize("reset", [reset_by_staff, reset_by_command])
def test_a_reset_ends_sessions_and_lets_the_password_sign_in(
    person: User, app: App, reset: Callable[[User], None]
) -> None:
    enrol(person, app)
    browser = send_password(person)
    browser.post(CODE, {"code": app.next_code(person)})
    assert has_access(browser)
    reset(person)
    assert not has_access(browser)
    assert has_access(send_password(person))
    assert not RecoveryCode.objects.exists()
    assert "second_factor_reset" in acts()


def test_staff_do_not_reset_a_superuser(app: App) -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)
    enrol(root, app)
    reset_by_staff(root)
    assert factors.has_factor(root)
    reset_by_command(root)
    assert not factors.has_factor(root)


def test_staff_do_not_reset_their_own_without_a_code(app: App) -> None:
    user = member("staff")
    enrol(user, app)
    browser = send_password(user)
    browser.post(CODE, {"code": app.next_code(user)})
    browser.post(f"/dashboard/users/{user.pk}/reset-second-factor")
    assert factors.has_factor(user)
    assert has_access(browser)


@pytest.mark.parametrize("name", ["nobody", "researcher"])
def test_the_command_names_what_is_missing(person: User, name: str) -> None:
    with pytest.raises(CommandError, match=r"does not exist|has no second factor"):
        call_command("reset_second_factor", name)


def test_the_administration_does_not_show_keys() -> None:
    assert not administration.is_registered(TOTPDevice)
    assert not administration.is_registered(RecoveryCode)


def test_a_request_needs_no_further_query(person: User, django_assert_num_queries: Any) -> None:
    browser = signed_in(person)
    browser.get("/dashboard/password")
    with django_assert_num_queries(
        4
    ):  # the session, its user, the groups for the menu, and the pause of dispatching
        browser.get("/dashboard/password")
