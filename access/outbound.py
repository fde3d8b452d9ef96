"""Addresses that others name and the backend then sends requests to: what every one of them has to be."""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_ADDRESSES = 16


class BadAddress(Exception):
    """The address is not one that this backend will call; the message says why."""


def parsed(url: str, what: str) -> tuple[SplitResult, str]:
    """(its parts, its host); `what` is called so in the message. Raises BadAddress."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https"):
        raise BadAddress(f"{what} begins with http:// or https://, not {parts.scheme or 'nothing'}.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress(f"{what} must not hold credentials.")
    if not parts.hostname:
        raise BadAddress(f"{what} names no host.")
    if port == 0:
        raise BadAddress(f"{what} has port 0.")
    return parts, parts.hostname


def resolved(host: str) -> list[IPAddress]:
    """What the host's name stands for now, at least one. Raises BadAddress."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadAddress(f"The host {host} cannot be resolved from here: {error}.") from error
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found[:MOST_ADDRESSES]]
