"""Settings from the environment, each read with what it must be. A wrong value raises one sentence that names it."""

import ipaddress
import math
import os
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off", ""})


def _refused(name: str, value: object, must: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value} cannot be used: it must be {must}")


def _read(name: str, default: T, parse: Callable[[str], T], must: str) -> T:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise _refused(name, text, must) from error


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise _refused(name, value, " or ".join(choices))
    return value


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in YES | NO:
        return value.strip().lower() in YES
    raise _refused(name, value, "on or off")


def seconds(name: str, default: float) -> float:
    """More than zero."""
    return _number(name, default, "a number of seconds above 0")


def days(name: str, default: float) -> float:
    """More than zero."""
    return _number(name, default, "a number of days above 0")


def _number(name: str, default: float, must: str) -> float:
    value = _read(name, default, float, must)
    if not math.isfinite(value) or value <= 0:
        raise _refused(name, value, must)
    return value


def count(name: str, default: int) -> int:
    """At least one."""
    must = "a whole number of at least 1"
    value = _read(name, default, int, must)
    if value < 1:
        raise _refused(name, value, must)
    return value


def words(name: str, default: list[str]) -> list[str]:
    """Comma-separated."""
    found = [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]
    return found or default


def networks(name: str, default: list[str]) -> list[str]:
    found = words(name, default)
    for network in found:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise _refused(
                name, ",".join(found), f"comma-separated networks like 10.0.0.0/8 ({error})"
            ) from error
    return found


def certificates(name: str) -> Path | None:
    """A file of CA certificates (PEM) that can be loaded."""
    path = text(name)
    if not path:
        return None
    must = "a file with the certificate of a CA (PEM)"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise _refused(name, path, f"{must} ({error.strerror or error})") from error
    return Path(path).resolve()


def origins(name: str) -> list[str]:
    found = words(name, [])
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise _refused(name, ",".join(found), "comma-separated origins like https://ktrdr.example.org")
    return found


def web_address(name: str) -> str:
    """Without a trailing slash; empty where it is not given."""
    found = text(name).rstrip("/")
    parts = urlsplit(found)
    if found and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment):
        raise _refused(name, found, "an address like https://ktrdr.example.org")
    return found


def email(name: str) -> dict[str, Any]:
    """Django's settings of the mail server that the variable names; none where it is not given."""
    url = text(name)
    if not url:
        return {}
    must = "like smtp+tls://user:password@host:587"
    if not urlsplit(url).scheme.startswith("smtp"):
        raise _refused(name, _without_password(url), must)
    try:
        found: dict[str, Any] = environ.Env.email_url_config(url)
    except (KeyError, ValueError, ImproperlyConfigured) as error:
        raise _refused(name, _without_password(url), must) from error
    found.pop("EMAIL_FILE_PATH", None)
    return found


def data_directory(name: str, default: Path) -> Path:
    """Made where it is missing; a relative path is taken from the present directory."""
    directory = Path(text(name, str(default))).expanduser().resolve()
    must = "a directory that this user may write"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(name, directory, f"{must} ({error.strerror})") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _refused(name, directory, f"{must} (permission denied)")
    return directory


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """PostgreSQL: the server that the variable names, or the embedded one in `data_dir/postgres`."""
    own: dict[str, Any] = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    url = text(name)
    if not url:
        options = {"server_directory": str(data_dir / "postgres")}
        return {"ENGINE": "ktrdr_site.embedded", "NAME": "ktrdr", "USER": "ktrdr", "OPTIONS": options, **own}
    must = "like postgresql://user:password@host:5432/name (only PostgreSQL)"
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise _refused(name, _without_password(url), must)
    try:
        found: dict[str, Any] = environ.Env.db_url_config(url)
    except (ValueError, ImproperlyConfigured) as error:
        raise _refused(name, _without_password(url), must) from error
    if not found.get("NAME"):
        raise _refused(name, _without_password(url), must)
    found.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
    return {**found, **own}


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{mark}{credentials.partition(':')[0]}{at}{host}" if mark else "..."


def secret_file(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """The one line of a file of mode 0600, made at its first use. Two processes that start together agree."""
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
        os.link(draft, path)  # fails where another process was first, and then its secret is the one
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
        raise ImproperlyConfigured(f"{path} is empty; remove it so that a new one is made")
    return line


def worker_token(name: str, path: Path) -> str:
    """What a worker enrols with: the variable, else the file that the first start wrote, else none yet."""
    return text(name) or (_one_line(path) if path.exists() else "")
