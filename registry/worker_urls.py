"""Checks the URL that a worker registers. The backend will send requests to it, so not every address is allowed."""

import ipaddress

from django.conf import settings

from access.outbound import BadAddress, parse, resolve

FIELD = "endpoint_url"


def validate(url: str) -> str:
    """Return the URL without a trailing slash. Raises BadAddress with the reason."""
    parts, host = parse(url, FIELD)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadAddress(f"{FIELD} must consist of scheme, host and port only.")
    _check_scheme(parts.scheme)
    _check_networks(host)
    return url.rstrip("/")


def _check_scheme(scheme: str) -> None:
    """With KTRDR_WORKER_CA the backend speaks only https to workers, without it only http."""
    if scheme == "https" and settings.WORKER_CA is None:
        raise BadAddress(
            f"{FIELD} is https, but this backend has no KTRDR_WORKER_CA to verify the certificate: set it to the CA's "
            "file, or start the worker without --tls-cert."
        )
    if scheme == "http" and settings.WORKER_CA is not None:
        raise BadAddress(
            f"{FIELD} is http, but this backend requires TLS because KTRDR_WORKER_CA is set: start the worker with "
            "--tls-cert and --tls-key."
        )


def _check_networks(host: str) -> None:
    """Every address of the host must be inside KTRDR_WORKER_NETWORKS."""
    networks = [ipaddress.ip_network(network) for network in settings.WORKER_NETWORKS]
    for ip in resolve(host):
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if not any(ip in network for network in networks):
            raise BadAddress(f"{host} resolves to {ip}, which is outside KTRDR_WORKER_NETWORKS.")
