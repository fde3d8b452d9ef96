"""The web server from outside, and settings that make it unsafe."""

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.http.request import validate_host

from ktrdr_site.doctor.finding import Finding, problem, warning

TIMEOUT_S = 5.0


def settings_in_force() -> Iterator[Finding]:
    if settings.DEBUG:
        yield problem(
            "settings",
            "KTRDR_DEBUG is on: error pages show code and settings to whoever causes an error.",
            "Set KTRDR_DEBUG=off and start the site again.",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            "settings",
            "KTRDR_ALLOWED_HOSTS is *: the site answers to any name, also to one that somebody else points at it.",
            "Name the hosts under which browsers and workers reach it.",
        )


def answers(url: str) -> Iterator[Finding]:
    """Whether it is this site that answers at `url`."""
    parts = urlsplit(url)
    place = parts.netloc
    if not validate_host(parts.hostname or "", settings.ALLOWED_HOSTS):
        yield problem(
            "web",
            f"{parts.hostname} is not in KTRDR_ALLOWED_HOSTS: requests under that name are answered 400.",
            f"Set KTRDR_ALLOWED_HOSTS={','.join([*settings.ALLOWED_HOSTS, parts.hostname or ''])}",
        )
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=TIMEOUT_S, trust_env=False)
    except httpx.ConnectError as error:
        yield problem(
            "web",
            f"Nothing answers at {place} ({error}).",
            "Start the site (manage.py up, or the web service), or say with --url where it serves.",
        )
    except httpx.HTTPError as error:
        yield problem(
            "web",
            f"{place} does not answer within {TIMEOUT_S:g} s ({type(error).__name__}).",
            "Look at the log of the web server: its threads may all wait, or something before it drops requests.",
        )
    else:
        yield from _judged(place, answer)


def _judged(place: str, answer: httpx.Response) -> Iterator[Finding]:
    if answer.status_code == HTTPStatus.BAD_REQUEST:
        yield problem(
            "web",
            f"{place} refuses the name by which it was asked (400).",
            "The running site has other KTRDR_ALLOWED_HOSTS than this command: set them for its service too.",
        )
    elif answer.status_code != HTTPStatus.OK or not _is_ours(answer):
        yield problem(
            "web",
            f"What answers at {place} is not KTRDR: it says {answer.status_code} to /health.",
            "Another program has this port: stop it, or serve at another port (manage.py up --port).",
        )


def _is_ours(answer: httpx.Response) -> bool:
    try:
        said: object = answer.json()
    except ValueError:
        return False
    return said == {"status": "ok"}
