"""Secrets that other users can read, weak enrolment, and stored secrets that cannot be decrypted."""

import stat
from collections.abc import Iterator

from django.conf import settings

from ktrdr_site.doctor.finding import Finding, problem, warning
from registry import worker_secrets

NAMES = ("secret-key", "worker-token", "admin-password", "api-token")
FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
MIN_TOKEN_LENGTH = 16


def modes() -> Iterator[Finding]:
    for path in (*(settings.DATA_DIR / name for name in NAMES), settings.BASE_DIR / ".env"):
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & FOR_OTHERS:
            yield problem(
                "secret files",
                f"{path} has mode {mode:04o}; other users of this machine can read it.",
                f"Run chmod 600 {path}, and replace the secret if somebody may have read it.",
            )
    mode = stat.S_IMODE(settings.DATA_DIR.stat().st_mode)
    if mode & FOR_OTHERS:
        able = "replace its files" if mode & (stat.S_IWOTH | stat.S_IWGRP) else "enter it"
        yield problem(
            "secret files",
            f"{settings.DATA_DIR} has mode {mode:04o}; other users of this machine can {able}.",
            f"Run chmod 700 {settings.DATA_DIR}.",
        )


def enrolment() -> Iterator[Finding]:
    token = settings.WORKER_TOKEN
    if settings.TRUST_NETWORK:
        yield warning(
            "enrolment token",
            "KTRDR_TRUST_NETWORK is on; anyone who can reach this site can register a worker and receive work.",
            "Turn it off and set KTRDR_WORKER_TOKEN for the workers, unless you control the whole network.",
        )
    elif token and len(token) < MIN_TOKEN_LENGTH:
        yield problem(
            "enrolment token",
            f"KTRDR_WORKER_TOKEN has only {len(token)} characters and can be guessed.",
            "Create a new one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )


def stored() -> Iterator[Finding]:
    if names := worker_secrets.unreadable():
        yield problem(
            "stored secrets",
            f"Encrypted with another KTRDR_SECRET_KEY: {', '.join(names)}; operations that need them fail.",
            "List the former key in KTRDR_SECRET_KEY_FALLBACKS and run manage.py encrypt_secrets, or enter the values again.",
        )
