"""Which address a worker may claim: the backend will send requests there, so not just any."""

import ipaddress

from django.conf import settings

from access.outbound import BadAddress, parsed, resolved

WHAT = "endpoint_url"


def checked(url: str) -> str:
    """The URL without a trailing slash. Raises BadAddress with the reason."""
    parts, host = parsed(url, WHAT)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadAddress(f"{WHAT} is scheme, host and port alone.")
    _as_the_backend_speaks(parts.scheme)
    _inside_networks(host)
    return url.rstrip("/")


def _as_the_backend_speaks(scheme: str) -> None:
    if scheme == "https" and settings.WORKER_CA is None:
        raise BadAddress(
            f"{WHAT} is https, and this backend has no KTRDR_WORKER_CA to know the certificate by: name the CA's "
            "file there, or start the worker without --tls-cert."
        )
    if scheme == "http" and settings.WORKER_CA is not None:
        raise BadAddress(
            f"{WHAT} is http, and this backend speaks only TLS to workers since KTRDR_WORKER_CA is set: start the "
            "worker with --tls-cert and --tls-key."
        )


def _inside_networks(host: str) -> None:
    """Every address of the host has to lie inside KTRDR_WORKER_NETWORKS."""
    networks = [ipaddress.ip_network(network) for network in settings.WORKER_NETWORKS]
    for ip in resolved(host):
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if not any(ip in network for network in networks):
            raise BadAddress(f"{host} is {ip}, which lies outside KTRDR_WORKER_NETWORKS.")
