"""The one check of every address that a user or a worker gives to the backend before it sends requests there."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from access.embedded_addresses import forms_of

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_ADDRESSES = 16
MAX_SHOWN = 80
AMBIGUOUS = re.compile(r"[\s\x00-\x20\x7f-\x9f\\]|\][^:/?#]")
"""What readers of URLs drop, end at or take for something else, so that the checked host may not be the called one."""
GLOBAL_UNICAST = (ipaddress.ip_network("2000::/3"), ipaddress.ip_network("64:ff9b::/96"))
"""The IPv6 networks in which public hosts are: what IANA has assigned, and the well-known NAT64 prefix."""
NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""IETF protocols, the former 6to4 relays and documentation, which `is_global` of Python 3.11 calls global."""
OTHER_PROTOCOLS = frozenset(
    map(
        int,
        [
            "1",
            "7",
            "9",
            "11",
            "13",
            "15",
            "17",
            "19",
            "20",
            "21",
            "22",
            "23",
            "25",
            "37",
            "42",
            "43",
            "53",
            "69",
            "77",
            "79",
            "87",
            "95",
            "101",
            "102",
            "103",
            "104",
            "109",
            "110",
            "111",
            "113",
            "115",
            "117",
            "119",
            "123",
            "135",
            "137",
            "139",
            "143",
            "161",
            "179",
            "389",
            "427",
            "465",
            "512",
            "513",
            "514",
            "515",
            "526",
            "530",
            "531",
            "532",
            "540",
            "548",
            "554",
            "556",
            "563",
            "587",
            "601",
            "636",
            "989",
            "990",
            "993",
            "995",
            "1719",
            "1720",
            "1723",
            "2049",
            "3659",
            "4045",
            "4190",
            "5060",
            "5061",
            "6000",
            "6566",
            "6665",
            "6666",
            "6667",
            "6668",
            "6669",
            "6679",
            "6697",
            "10080",
        ],
    )
)
"""Ports of services that do not speak HTTP and may execute parts of a request (WHATWG Fetch, "bad port")."""


class BadAddress(Exception):
    """The backend will not call this address; the message explains why."""


def parse(url: str, what: str) -> tuple[SplitResult, str]:
    """Return (parts, host) of a URL. `what` names the URL in error messages. Raises BadAddress."""
    if AMBIGUOUS.search(url):
        raise BadAddress(
            f"{what} must not contain spaces, control characters, backslashes or text after a bracket."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{_shorten(url)!r} is not a URL: {_shorten(str(error))}.") from error
    if parts.scheme not in ("http", "https"):
        scheme = _shorten(parts.scheme) or "nothing"
        raise BadAddress(f"{what} must start with http:// or https://, not {scheme}.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress(f"{what} must not contain credentials.")
    if not parts.hostname:
        raise BadAddress(f"{what} has no host.")
    if port == 0:
        raise BadAddress(f"{what} must not use port 0.")
    if port in OTHER_PROTOCOLS:
        raise BadAddress(f"{what} must not use port {port}, which belongs to another protocol than HTTP.")
    return parts, parts.hostname


def resolve(host: str) -> list[IPAddress]:
    """Return the host's current addresses, at least one. Raises BadAddress."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # a NUL, or a label that IDNA cannot encode
        raise BadAddress(f"Could not resolve the host {_shorten(host)}: {_shorten(str(error))}.") from error
    if len(entries) > MAX_ADDRESSES:
        raise BadAddress(f"The host {_shorten(host)} has more than {MAX_ADDRESSES} addresses.")
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in entries]


def check(host: str, networks: Sequence[str], setting: str, *, allow_public: bool) -> list[IPAddress]:
    """Return the host's addresses if each may be called. Raises BadAddress.

    An address may be called if it, and each IPv4 address that it embeds, is inside one of `networks`, or public if
    that is allowed. Link-local (cloud metadata), multicast, unspecified and reserved addresses are never called.
    `setting` is the name of the setting with the networks.
    """
    allowed = [ipaddress.ip_network(network) for network in networks]
    addresses = resolve(host)
    for address in addresses:
        for form in forms_of(address):
            if is_never_called(form):
                raise BadAddress(
                    f"{_shorten(host)} resolves to {form}, a link-local, multicast, unspecified or reserved address, "
                    "which is never called."
                )
            if any(form in network for network in allowed) or (allow_public and is_public(form)):
                continue
            rule = "neither public nor inside" if allow_public else "outside"
            raise BadAddress(f"{_shorten(host)} resolves to {form}, which is {rule} {setting}.")
    return addresses


def is_never_called(ip: IPAddress) -> bool:
    if isinstance(ip, ipaddress.IPv4Address):
        is_special = ip.is_reserved or ip in ipaddress.ip_network("0.0.0.0/8")
    else:
        is_special = ip.is_site_local
    return is_special or ip.is_unspecified or ip.is_multicast or ip.is_link_local


def is_public(ip: IPAddress) -> bool:
    """Return whether the address is a host of the public internet, apart from the addresses that it embeds."""
    if isinstance(ip, ipaddress.IPv6Address) and not any(ip in network for network in GLOBAL_UNICAST):
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_PUBLIC)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
