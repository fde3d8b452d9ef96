"""Checks that every user-supplied URL must pass before the backend sends requests to it."""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_ADDRESSES = 16


class BadAddress(Exception):
    """The backend will not call this address; the message explains why."""


def parse(url: str, what: str) -> tuple[SplitResult, str]:
    """Return (parts, host) of a URL. `what` names the URL in error messages. Raises BadAddress."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https"):
        raise BadAddress(f"{what} must start with http:// or https://, not {parts.scheme or 'nothing'}.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress(f"{what} must not contain credentials.")
    if not parts.hostname:
        raise BadAddress(f"{what} has no host.")
    if port == 0:
        raise BadAddress(f"{what} must not use port 0.")
    return parts, parts.hostname


def resolve(host: str) -> list[IPAddress]:
    """Return the host's current addresses, at least one. Raises BadAddress."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # a NUL, or a label that IDNA cannot encode
        raise BadAddress(f"Could not resolve the host {host}: {error}.") from error
    return [
        ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in entries[:MAX_ADDRESSES]
    ]
