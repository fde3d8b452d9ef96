"""Secrets of the site: from the environment, else from files in the data directory that the first start writes."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from ktrdr_site import environment

MIN_KEY_LENGTH, MIN_KEY_CHARACTERS = 32, 10
"""Of the secret key: its length, and how many different characters it has."""


def secret_file(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """Return the only line of a file of mode 0600, creating it on first use. Processes that start together agree on it."""
    try:
        return _one_line(path)
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(make() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # fails if another process was first; then its secret is used
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _one_line(path)


def _one_line(path: Path) -> str:
    try:
        line = path.read_text().strip()
    except PermissionError as error:
        raise ImproperlyConfigured(f"{path} cannot be read by this user ({error.strerror})") from error
    if not line:
        raise ImproperlyConfigured(f"{path} is empty; remove it and a new one will be created")
    return line


def secret_key(name: str, path: Path) -> str:
    """Return the key from the variable, else from the file, which is created on first use. Refuse one that can be guessed."""
    key = environment.text(name)
    if not key:
        return secret_file(path)
    if _can_be_guessed(key):
        raise ImproperlyConfigured(
            f"{name} can be guessed: use at least {MIN_KEY_LENGTH} random characters, or unset it and one is "
            "generated; python -c 'import secrets; print(secrets.token_urlsafe(48))' prints a new one"
        )
    return key


def former_keys(name: str) -> list[str]:
    """Return former secret keys, the newest first. They still open what was signed or encrypted with them."""
    keys = environment.words(name, [])
    for number, key in enumerate(keys, start=1):
        if _can_be_guessed(key):
            raise ImproperlyConfigured(
                f"{name}: key {number} can be guessed: list only former keys of at least {MIN_KEY_LENGTH} random "
                "characters, separated by commas"
            )
    return keys


def _can_be_guessed(key: str) -> bool:
    return (
        len(key) < MIN_KEY_LENGTH or len(set(key)) < MIN_KEY_CHARACTERS or key.startswith("django-insecure")
    )


def worker_token(name: str, path: Path) -> str:
    """Return the enrolment token from the variable, else from the file that the first start wrote, else an empty string."""
    return environment.text(name) or (_one_line(path) if path.exists() else "")
