"""Which address a worker may claim: the backend will send requests there, so not just any."""

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings

MOST_ADDRESSES = 16


class BadEndpoint(Exception):
    """The worker's URL is not one that this backend will call."""


def checked(url: str) -> str:
    """The URL without a trailing slash. Raises BadEndpoint with the reason."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadEndpoint(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https"):
        raise BadEndpoint(f"endpoint_url begins with http:// or https://, not {parts.scheme or 'nothing'}.")
    if parts.username is not None or parts.password is not None:
        raise BadEndpoint("endpoint_url must not hold credentials.")
    if not parts.hostname:
        raise BadEndpoint("endpoint_url names no host.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadEndpoint("endpoint_url is scheme, host and port alone.")
    if port == 0:
        raise BadEndpoint("endpoint_url has port 0.")
    _inside_networks(parts.hostname)
    return url.rstrip("/")


def _inside_networks(host: str) -> None:
    """Every address of the host has to lie inside KTRDR_WORKER_NETWORKS."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadEndpoint(f"The host {host} cannot be resolved from here: {error}.") from error
    networks = [ipaddress.ip_network(network) for network in settings.WORKER_NETWORKS]
    for *_, address in found[:MOST_ADDRESSES]:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if not any(ip in network for network in networks):
            raise BadEndpoint(f"{host} is {ip}, which lies outside KTRDR_WORKER_NETWORKS.")
