"""Guessing is slowed, by address and by name, for all web processes together; whoever knows their secret is not."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client, RequestFactory

from access import throttling
from access.actors import Actor
from access.models import AuditEntry, Failures
from ktrdr_site.accounts import device_cookie
from ktrdr_site.models import ApiToken
from registry import enrolment
from registry.models import Worker
from tests.access.callers import bearer
from tests.calibration import stretched
from tests.registry.test_registration import MESSAGE

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-enough-password"
PAGE = "/dashboard/login"
SLOWER = 50


def sign_in(name: str, password: str, address: str = "10.0.0.1") -> Any:
    return Client().post(PAGE, {"username": name, "password": password}, REMOTE_ADDR=address)


@pytest.fixture(autouse=True)
def _slow_leak() -> Iterator[None]:
    """Let the buckets leak `SLOWER` times slower: on a loaded machine a test fills one for longer than its pause."""
    pauses = [(limit, limit.pause_s) for limit in throttling.LIMITS]
    for limit, pause_s in pauses:
        object.__setattr__(limit, "pause_s", SLOWER * pause_s)
    yield
    for limit, pause_s in pauses:
        object.__setattr__(limit, "pause_s", pause_s)


def pass_time(seconds: float) -> None:
    """Let as much leak as in so many seconds of the product."""
    from datetime import timedelta

    seconds *= SLOWER
    Failures.objects.update(updated_at=F("updated_at") - timedelta(seconds=seconds))


def test_after_ten_wrong_passwords_for_a_name_not_even_the_right_one_is_looked_at(person: User) -> None:
    statuses = {sign_in(person.username, f"wrong-{number}").status_code for number in range(10)}
    assert statuses == {200}
    blocked = sign_in(person.username, PASSWORD, address="10.0.0.2")
    assert blocked.status_code == 429
    assert SLOWER * 30 - stretched(5) <= int(blocked["Retry-After"]) <= SLOWER * 30
    assert (
        f"Too many failed attempts. Try again in {blocked['Retry-After']} seconds."
        in blocked.content.decode()
    )
    pass_time(31)
    assert sign_in(person.username, PASSWORD).status_code == 302


def test_ten_thousand_guesses_would_take_days(person: User) -> None:
    """By hurry nothing is gained: of a hundred tries right after another only the first ten are looked at."""
    looked_at = sum(sign_in(person.username, f"wrong-{number}").status_code == 200 for number in range(100))
    assert looked_at == throttling.SIGN_IN_BY_NAME.burst


def test_an_address_that_tries_many_names_is_slowed_and_another_one_is_not(person: User) -> None:
    for number in range(20):
        sign_in(f"name-{number}", "wrong")
    assert sign_in(person.username, PASSWORD).status_code == 429
    assert sign_in(person.username, PASSWORD, address="10.0.0.2").status_code == 302


def test_a_successful_attempt_is_given_back_and_leaves_the_failures_of_others(person: User) -> None:
    for _ in range(9):
        sign_in(person.username, "wrong")
    for _ in range(3):
        assert sign_in(person.username, PASSWORD).status_code == 302
    assert sign_in(person.username, "wrong").status_code == 200
    assert sign_in(person.username, PASSWORD).status_code == 429


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("guesses", [11, 40])
def test_parallel_attempts_are_counted_before_any_password_is_checked(
    person: User, monkeypatch: pytest.MonkeyPatch, guesses: int
) -> None:
    """All of them are counted at the same moment, while no password has been checked yet."""
    all_counted = threading.Barrier(throttling.SIGN_IN_BY_NAME.burst)
    check = User.check_password

    def check_late(user: User, password: str) -> bool:
        all_counted.wait(stretched(60))
        return check(user, password)

    monkeypatch.setattr(User, "check_password", check_late)

    def guess(number: int) -> int:
        try:
            return int(sign_in(person.username, f"wrong-{number}", f"10.0.{number}.1").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(guesses) as threads:
        statuses = list(threads.map(guess, range(guesses)))
    assert statuses.count(200) == throttling.SIGN_IN_BY_NAME.burst
    assert statuses.count(429) == guesses - throttling.SIGN_IN_BY_NAME.burst


@pytest.mark.parametrize("attacker", ["the same address", "another address"])
def test_a_browser_that_is_known_is_not_kept_out_by_an_attacker(person: User, attacker: str) -> None:
    known = Client(REMOTE_ADDR="10.0.0.1")
    form = {"username": person.username, "password": PASSWORD}
    assert known.post(PAGE, form).status_code == 302
    address = "10.0.0.1" if attacker == "the same address" else "10.0.0.2"
    for number in range(30):
        sign_in(person.username, f"wrong-{number}", address)
    known.post("/dashboard/logout")
    assert sign_in(person.username, PASSWORD, "10.0.0.3").status_code == 429, "an unknown browser waits"
    assert known.post(PAGE, form).status_code == 302


def test_a_known_browser_has_a_bucket_of_its_own_and_only_for_its_user(person: User, staff: User) -> None:
    known = Client()
    known.post(PAGE, {"username": person.username, "password": PASSWORD})
    known.post("/dashboard/logout")
    guesses = [
        known.post(PAGE, {"username": person.username, "password": "wrong"}).status_code for _ in range(11)
    ]
    assert guesses == [200] * 10 + [429]
    assert sign_in(person.username, PASSWORD, "10.0.0.2").status_code == 302, "it fills no other bucket"
    others = [
        known.post(PAGE, {"username": staff.username, "password": "wrong"}).status_code for _ in range(11)
    ]
    assert others == [200] * 10 + [429]
    assert sign_in(staff.username, PASSWORD, "10.0.0.2").status_code == 429


@pytest.mark.parametrize(
    "forge",
    [lambda value: value + "x", lambda value: "", lambda value: "a b:c:d", str.upper, lambda value: "é"],
)
def test_a_forged_device_cookie_makes_no_browser_known(person: User, forge: Callable[[str], str]) -> None:
    known = Client()
    known.post(PAGE, {"username": person.username, "password": PASSWORD})
    cookie = known.cookies[device_cookie.NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == PAGE
    assert person.username in cookie.value, "it is signed, not secret"
    request = RequestFactory().get(PAGE)
    request.COOKIES[device_cookie.NAME] = forge(cookie.value)
    assert device_cookie.device_of(request, person.username) is None
    request.COOKIES[device_cookie.NAME] = cookie.value
    assert device_cookie.device_of(request, person.username.upper()) is not None
    assert device_cookie.device_of(request, f"{person.username}2") is None


@pytest.mark.parametrize(
    ("addresses", "are_one"),
    [
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff::2"], True),
        (["2001:db8:1:2::1", "2001:db8:1:3::1"], False),
        (["::ffff:10.0.0.1", "10.0.0.1"], True),
        (["10.0.0.1", "10.0.0.2"], False),
    ],
)
def test_callers_are_counted_by_ipv4_address_or_ipv6_network(addresses: list[str], are_one: bool) -> None:
    for number in range(20):
        sign_in(f"name-{number}", "wrong", addresses[0])
    assert sign_in("another", "wrong", addresses[0]).status_code == 429
    assert (sign_in("another", "wrong", addresses[1]).status_code == 429) is are_one


def test_successes_and_failures_are_audited_with_the_names_of_users_only(person: User) -> None:
    sign_in(person.username, "wrong")
    sign_in("a password typed as a name", "wrong")
    sign_in(person.username, PASSWORD)
    entries = AuditEntry.objects.order_by("pk").values_list("act", "subject", "actor", "address")
    assert list(entries) == [
        ("sign_in_failed", person.username, "anonymous", "10.0.0.1"),
        ("sign_in_failed", "unknown user", "anonymous", "10.0.0.1"),
        ("signed_in", person.username, f"user:{person.username}", "10.0.0.1"),
    ]


def test_the_administration_has_no_sign_in_page_of_its_own(person: User) -> None:
    answer = Client().post("/admin/login/", {"username": person.username, "password": PASSWORD})
    assert answer.status_code == 302
    assert answer["Location"].startswith(PAGE)
    assert "_auth_user_id" not in Client().session


def test_unknown_api_tokens_are_answered_429_after_a_while_and_valid_ones_never(person: User) -> None:
    statuses = [bearer(f"ktp_{number}").get("/operations").status_code for number in range(31)]
    assert statuses == [401] * 30 + [429]
    answer = bearer("ktp_x").get("/operations")
    assert answer["Content-Type"] == "application/problem+json"
    assert int(answer["Retry-After"]) >= 1
    assert bearer(ApiToken.issue(person)).get("/operations").status_code == 200


def register(token: str, worker_id: str) -> Any:
    body = {**MESSAGE, "worker_id": worker_id}
    return bearer(token).post("/workers/register", body, content_type="application/json")


def test_guessing_the_enrolment_token_ends_in_429_and_then_the_right_one_is_not_looked_at(
    settings: Any,
) -> None:
    settings.WORKER_TOKEN = "short"
    assert [register(f"guess-{number}", "w").status_code for number in range(31)] == [401] * 30 + [429]
    answer = register("short", "w")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    _, token = enrolment.issue("pool", [], Actor("test"), operation_types=["training"])
    assert register(token, "w").status_code == 200
    pass_time(3)
    assert register("short", "w2").status_code == 200


def test_two_hundred_workers_with_the_right_token_register_from_one_address_unslowed(settings: Any) -> None:
    settings.WORKER_TOKEN = "the-enrolment-token"
    statuses = {register("the-enrolment-token", f"w-{number}").status_code for number in range(200)}
    assert statuses == {200}
    assert Worker.objects.count() == 200
    assert not Failures.objects.exists()


def test_agents_whose_backend_changed_its_secret_are_all_told_to_enrol_again() -> None:
    answers = [bearer(f"ktw_{number}.x").post("/workers/deregister").status_code for number in range(100)]
    assert set(answers) == {401}


def test_a_forwarded_address_counts_only_from_a_proxy_that_was_named(settings: Any) -> None:
    from django.test import RequestFactory

    from access.client_address import client_address

    def status_seen_by(remote: str, forwarded: str) -> str | None:
        return client_address(RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded))

    assert status_seen_by("10.0.0.9", "1.1.1.1") == "10.0.0.9"
    settings.TRUSTED_PROXIES = ["10.0.0.0/24"]
    assert status_seen_by("10.0.0.9", "6.6.6.6, 1.1.1.1") == "1.1.1.1"
    assert status_seen_by("10.0.0.9", "6.6.6.6, 1.1.1.1, 10.0.0.8") == "1.1.1.1"
    assert status_seen_by("10.0.0.9", "nonsense") == "10.0.0.9"
    assert status_seen_by("192.0.2.1", "1.1.1.1") == "192.0.2.1"
    assert status_seen_by("::ffff:10.0.0.9", "2001:db8::1") == "2001:db8::1"
    assert status_seen_by("", "") is None


def test_empty_buckets_are_cleaned_up() -> None:
    throttling.record_failure(throttling.SIGN_IN_BY_NAME, "a")
    assert throttling.delete_empty() == 0
    Failures.objects.update(updated_at=Now(), level=-1)
    assert throttling.delete_empty() == 1
