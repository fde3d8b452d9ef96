"""A second factor: set up with the password, given at each sign-in, each code once, required by role, reset by staff."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.admin.sites import site as administration
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp import models as otp
from django_otp.plugins.otp_totp.models import TOTPDevice

from access import throttling
from access.actors import Actor
from access.models import AuditEntry, Failures
from ktrdr_site.models import ApiToken, RecoveryCode
from ktrdr_site.second_factor import factors, pending
from tests.access.callers import bearer, member

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-enough-password"
LOGIN, CODE, OWN = "/dashboard/login", "/dashboard/login/code", "/dashboard/second-factor"
STEP_S = 30


class App:
    """An authenticator app and the site's clock, which moves to the next code with each `next_code`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def code(self, user: User, steps: int = 0) -> str:
        device = TOTPDevice.objects.filter(user=user).latest("pk")
        totp = TOTP(device.bin_key)
        totp.time = self.now + steps * STEP_S
        return f"{totp.token():06}"

    def next_code(self, user: User) -> str:
        self.now += STEP_S
        return self.code(user)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    app = App()
    monkeypatch.setattr(otp, "time", app)
    return app


def enrol(user: User, app: App) -> list[str]:
    """Give the user a second factor and return the recovery codes."""
    factors.start(user)
    return factors.confirm(user, app.next_code(user), Actor("test"))


def send_password(user: User, next_page: str = "") -> Client:
    browser = Client()
    response = browser.post(f"{LOGIN}", {"username": user.username, "password": PASSWORD, "next": next_page})
    assert response.status_code == 302
    return browser


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def has_access(browser: Client) -> bool:
    """Return whether pages, API and the live parts of pages give the browser access; they must agree."""
    statuses = {
        browser.get("/dashboard/").status_code == 200,
        browser.get("/operations").status_code == 200,
        browser.get("/dashboard/", headers={"HX-Request": "true"}).status_code == 200,
    }
    assert len(statuses) == 1, statuses
    return statuses.pop()


def acts() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("act", flat=True))


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


# Signing in ---------------------------------------------------------------------------------------------------


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
def test_a_text_that_is_no_code_is_refused(person: User, app: App, code: str) -> None:
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


def test_a_request_needs_no_further_query(person: User, app: App, django_assert_num_queries: Any) -> None:
    browser = signed_in(person)
    browser.get("/dashboard/password")
    with django_assert_num_queries(3):  # the session, its user, and the groups for the menu
        browser.get("/dashboard/password")
