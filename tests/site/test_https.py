"""Behind a proxy that terminates TLS (`KTRDR_HTTPS=on`), pages and cookies are only for https."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
from django.test import Client
from operations import dispatch_pauses
dispatch_pauses.is_read_only = lambda: False
plain = Client().get("/dashboard/login")
through = Client().get("/dashboard/login", headers={"X-Forwarded-Proto": "https"})
def program(address="127.0.0.1", **headers):
    sent = {"Authorization": "Bearer of-a-program", **headers}
    return Client(REMOTE_ADDR=address).post("/no/such/route", headers=sent).status_code
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
def responses() -> tuple[dict[str, Any], str]:
    """The responses of a fresh process with these settings; none needs the database."""
    variables = {
        "KTRDR_HTTPS": "on",
        "KTRDR_ALLOWED_HOSTS": "testserver",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import django; django.setup()\n{PROGRAM}"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return json.loads(lines["ANSWER"]), lines["SESSION"]


def test_plain_http_is_redirected_to_https_except_the_health_check(
    responses: tuple[dict[str, Any], str],
) -> None:
    site, _ = responses
    assert site["plain"] == [301, "https://testserver/dashboard/login"]
    assert site["health"] == 200


def test_only_programs_on_this_machine_may_use_plain_http(
    responses: tuple[dict[str, Any], str],
) -> None:
    assert responses[0]["program"] == {
        "here": 404,
        "here, by IPv6": 404,
        "elsewhere": 301,
        "by a unix socket": 301,
        "through a proxy here": 301,
        "from afar through a proxy here": 301,
        "without a token": 301,
    }


def test_browsers_must_use_https_for_a_year(responses: tuple[dict[str, Any], str]) -> None:
    assert responses[0]["hsts"] == "max-age=31536000; includeSubDomains; preload"


def test_cookies_are_sent_only_over_https(responses: tuple[dict[str, Any], str]) -> None:
    site, session = responses
    assert "Secure" in site["csrf"]
    assert session == "True True"


def test_the_policy_allows_no_inline_script(responses: tuple[dict[str, Any], str]) -> None:
    policy = responses[0]["policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
