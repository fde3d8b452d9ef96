"""Which addresses a webhook may have: public ones, and those in KTRDR_HOOK_NETWORKS. The backend sends requests there."""

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_ADDRESSES = 16
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class BadReceiver(Exception):
    """The address is not one that this backend will call."""


def checked(url: str) -> str:
    """The URL, where it may be called now. Raises BadReceiver with the reason."""
    resolved(url)
    return url


def resolved(url: str) -> str:
    """The address to connect to. What was checked is what is called: the name is not looked up again.

    Raises BadReceiver.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadReceiver(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https"):
        raise BadReceiver(f"A webhook begins with https:// or http://, not {parts.scheme or 'nothing'}.")
    if parts.username is not None or parts.password is not None:
        raise BadReceiver("A webhook's address must not hold credentials; it is signed instead.")
    if not parts.hostname:
        raise BadReceiver("The address names no host.")
    if port == 0:
        raise BadReceiver("The address has port 0.")
    return _allowed(parts.hostname)


def _allowed(host: str) -> str:
    """The first address of the host; each of them has to be allowed."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadReceiver(f"The host {host} cannot be resolved from here: {error}.") from error
    addresses = [str(address[0]).partition("%")[0] for *_, address in found[:MOST_ADDRESSES]]
    networks = [ipaddress.ip_network(network) for network in settings.HOOK_NETWORKS]
    for text in addresses:
        ip = _meant(ipaddress.ip_address(text))
        public = ip.is_global and not ip.is_multicast
        if not public and not any(ip in network for network in networks):
            raise BadReceiver(f"{host} is {ip}, which is neither public nor inside KTRDR_HOOK_NETWORKS.")
    return addresses[0]


def _meant(ip: Address) -> Address:
    """The IPv4 address where the IPv6 one only wraps it."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
