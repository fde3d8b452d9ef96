"""The address of the caller, also behind a proxy."""

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest


def client_address(request: "HttpRequest") -> str | None:
    """Return the address of the caller, or None for a unix socket.

    X-Forwarded-For counts only if a proxy listed in KTRDR_TRUSTED_PROXIES sent it, and only the entries that such
    proxies appended: it is read from the right, because the caller may have forged the entries on the left.
    """
    address = _ip(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while address is not None and _is_proxy(address) and forwarded:
        before = _ip(forwarded.pop().strip())
        if before is None:
            break
        address = before
    return None if address is None else str(address)


def network_of(address: str | None) -> str:
    """Return the unit by which callers are counted: an IPv4 address, or the /64 network that one IPv6 customer has."""
    ip = _ip(address or "")
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return address or ""


@lru_cache(maxsize=1024)
def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_proxy(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in ipaddress.ip_network(network) for network in settings.TRUSTED_PROXIES)
