"""Behind a proxy that ends TLS (`KTRDR_HTTPS=on`), answers and cookies are for https alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import json
from django.test import Client
plain = Client().get("/dashboard/login")
through = Client().get("/dashboard/login", headers={"X-Forwarded-Proto": "https"})
def program(address="127.0.0.1", **headers):
    given = {"Authorization": "Bearer of-a-program", **headers}
    return Client(REMOTE_ADDR=address).post("/no/such/route", headers=given).status_code
print("ANSWER", json.dumps({
    "plain": [plain.status_code, plain.headers.get("Location")],
    "program": {
        "here": program(), "here, by IPv6": program("::1"), "elsewhere": program("10.0.0.7"),
        "by a unix socket": program(""), "through a proxy here": program(**{"X-Forwarded-Proto": "http"}),
        "from afar through a proxy here": program(**{"X-Forwarded-For": "10.0.0.7"}),
        "without a token": program(Authorization=""),
    },
    "health": Client().get("/health").status_code,
    "hsts": through.headers.get("Strict-Transport-Security"),
    "policy": through.headers.get("Content-Security-Policy"),
    "csrf": str(through.cookies["csrftoken"]),
}))
from django.conf import settings
print("SESSION", settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY)
"""


@pytest.fixture(scope="module")
def asked() -> tuple[dict[str, Any], str]:
    """What a fresh process with these settings answers; no page of it needs the database."""
    variables = {
        "KTRDR_HTTPS": "on",
        "KTRDR_ALLOWED_HOSTS": "testserver",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import django; django.setup()\n{ASK}"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    lines = dict(line.split(" ", 1) for line in found.stdout.splitlines())
    return json.loads(lines["ANSWER"]), lines["SESSION"]


def test_plain_http_is_sent_to_https_but_for_the_health_check(asked: tuple[dict[str, Any], str]) -> None:
    answer, _ = asked
    assert answer["plain"] == [301, "https://testserver/dashboard/login"]
    assert answer["health"] == 200


def test_programs_of_this_machine_may_stay_with_plain_http_and_nobody_else_may(
    asked: tuple[dict[str, Any], str],
) -> None:
    assert asked[0]["program"] == {
        "here": 404,
        "here, by IPv6": 404,
        "elsewhere": 301,
        "by a unix socket": 301,
        "through a proxy here": 301,
        "from afar through a proxy here": 301,
        "without a token": 301,
    }


def test_browsers_are_told_to_come_by_https_for_a_year(asked: tuple[dict[str, Any], str]) -> None:
    assert asked[0]["hsts"] == "max-age=31536000; includeSubDomains; preload"


def test_cookies_go_over_https_alone(asked: tuple[dict[str, Any], str]) -> None:
    answer, session = asked
    assert "Secure" in answer["csrf"]
    assert session == "True True"


def test_the_policy_allows_no_inline_script(asked: tuple[dict[str, Any], str]) -> None:
    policy = asked[0]["policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
