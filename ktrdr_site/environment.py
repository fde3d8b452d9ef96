"""Reads settings from the environment. An invalid value raises ImproperlyConfigured with one sentence that names it."""

import ipaddress
import math
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from ktrdr_site.embedded.cluster import ROLE
from operations.stores.selected import LOCAL, VALID_NAMES, bucket_of

T = TypeVar("T")

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off", ""})
MAX_LIMIT_S = 366 * 86_400


def _invalid(name: str, value: object, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value} cannot be used: it must be {expected}")


def _read(name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise _invalid(name, text, expected) from error


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise _invalid(name, value, " or ".join(choices))
    return value


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in YES | NO:
        return value.strip().lower() in YES
    raise _invalid(name, value, "on or off")


def seconds(name: str, default: float) -> float:
    """Read a number of seconds above zero."""
    return _number(name, default, "a number of seconds above 0")


def seconds_or_none(name: str) -> float | None:
    """Read a number of seconds above zero; None if the variable is not set."""
    return seconds(name, 1) if text(name) else None


def seconds_by_type(name: str) -> dict[str, int]:
    """Read whole seconds for all operation types, or per type: `3600` or `training=86400,*=3600`."""
    expected = "whole seconds of at least 1, for all types (3600) or per type (training=86400,*=3600)"
    limits: dict[str, int] = {}
    for word in words(name, []):
        operation_type, _, number = word.rpartition("=")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number[:10]) <= MAX_LIMIT_S:
            raise _invalid(name, text(name), expected)
        limits[operation_type or "*"] = int(number)
    return limits


def days(name: str, default: float) -> float:
    """Read a number of days above zero."""
    return _number(name, default, "a number of days above 0")


def _number(name: str, default: float, expected: str) -> float:
    value = _read(name, default, float, expected)
    if not math.isfinite(value) or value <= 0:
        raise _invalid(name, value, expected)
    return value


def count(name: str, default: int) -> int:
    """Read a whole number of at least one."""
    expected = "a whole number of at least 1"
    value = _read(name, default, int, expected)
    if value < 1:
        raise _invalid(name, value, expected)
    return value


def limit(name: str, default: int) -> int:
    """Read a whole number; 0 means no limit."""
    expected = "a whole number, 0 for no limit"
    value = _read(name, default, int, expected)
    if value < 0:
        raise _invalid(name, value, expected)
    return value


def words(name: str, default: list[str]) -> list[str]:
    """Read comma-separated words."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()] or default


def networks(name: str, default: list[str]) -> list[str]:
    values = words(name, default)
    for network in values:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise _invalid(
                name, ",".join(values), f"comma-separated networks like 10.0.0.0/8 ({error})"
            ) from error
    return values


def certificates(name: str) -> Path | None:
    """Read the path of a file of CA certificates (PEM), and check that it can be loaded."""
    path = text(name)
    if not path:
        return None
    expected = "a file with the certificate of a CA (PEM)"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise _invalid(name, path, f"{expected} ({error.strerror or error})") from error
    return Path(path).resolve()


def origins(name: str) -> list[str]:
    values = words(name, [])
    for origin in values:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise _invalid(name, ",".join(values), "comma-separated origins like https://ktrdr.example.org")
    return values


def web_address(name: str) -> str:
    """Read a URL without its trailing slash; empty if the variable is not set."""
    url = text(name).rstrip("/")
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment):
        raise _invalid(name, url, "an address like https://ktrdr.example.org")
    return url


def artifact_store(name: str) -> str:
    """Read the name of the store of files."""
    value = text(name, LOCAL)
    try:
        bucket_of(value)
    except ValueError as error:
        raise _invalid(name, value, VALID_NAMES) from error
    return value


def email(name: str) -> dict[str, Any]:
    """Return Django's settings for the mail server in the variable; empty if it is not set."""
    url = text(name)
    if not url:
        return {}
    expected = "like smtp+tls://user:password@host:587"
    if not urlsplit(url).scheme.startswith("smtp"):
        raise _invalid(name, _without_password(url), expected)
    try:
        mail_settings: dict[str, Any] = environ.Env.email_url_config(url)
    except (KeyError, ValueError, ImproperlyConfigured) as error:
        raise _invalid(name, _without_password(url), expected) from error
    mail_settings.pop("EMAIL_FILE_PATH", None)
    return mail_settings


def data_directory(name: str, default: Path) -> Path:
    """Read the path of the data directory and create it if missing; a relative path starts at the working directory."""
    directory = Path(text(name, str(default))).expanduser().resolve()
    expected = "a directory that this user may write"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _invalid(name, directory, f"{expected} ({error.strerror})") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _invalid(name, directory, f"{expected} (permission denied)")
    return directory


CLIENT_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""libpq's: a session to a server whose machine is gone ends after a minute; times in seconds, the last in milliseconds."""


PREPARE_AFTER = 2
"""Executions of a statement of `access.prepared` in a session before it is prepared."""
SESSION_AGE_S = 600
"""A new session reads the catalog and plans each statement several times, which takes the server as long as twenty no-ops."""


def database(name: str, data_dir: Path, *, prepares: bool = True) -> dict[str, Any]:
    """Return the settings for the PostgreSQL server in the variable, or for the embedded one in `data_dir/postgres`."""
    common: dict[str, Any] = {"CONN_MAX_AGE": SESSION_AGE_S, "CONN_HEALTH_CHECKS": True}
    prepared = {"prepare_threshold": PREPARE_AFTER if prepares else None}
    url = text(name)
    if not url:
        options = {"server_directory": str(data_dir / "postgres"), **prepared}
        return {
            "ENGINE": "ktrdr_site.embedded",
            "NAME": "ktrdr",
            "USER": ROLE,
            "OPTIONS": options,
            **common,
        }
    expected = "like postgresql://user:password@host:5432/name (only PostgreSQL)"
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise _invalid(name, _without_password(url), expected)
    try:
        connection: dict[str, Any] = environ.Env.db_url_config(url)
    except (ValueError, ImproperlyConfigured) as error:
        raise _invalid(name, _without_password(url), expected) from error
    if not connection.get("NAME"):
        raise _invalid(name, _without_password(url), expected)
    defaults: dict[str, Any] = {"connect_timeout": 5, **CLIENT_KEEPALIVES}
    options = defaults | connection.get("OPTIONS", {}) | prepared
    return {**connection, "ENGINE": "ktrdr_site.postgresql", **common, "OPTIONS": options}


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{mark}{credentials.partition(':')[0]}{at}{host}" if mark else "..."
