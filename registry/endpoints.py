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
    _as_the_backend_speaks(parts.scheme)
    _inside_networks(parts.hostname)
    return url.rstrip("/")


def _as_the_backend_speaks(scheme: str) -> None:
    if scheme == "https" and settings.WORKER_CA is None:
        raise BadEndpoint(
            "endpoint_url is https, and this backend has no KTRDR_WORKER_CA to know the certificate by: name the CA's "
            "file there, or start the worker without --tls-cert."
        )
    if scheme == "http" and settings.WORKER_CA is not None:
        raise BadEndpoint(
            "endpoint_url is http, and this backend speaks only TLS to workers since KTRDR_WORKER_CA is set: start the "
            "worker with --tls-cert and --tls-key."
        )


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
