"""Checks the URL that a worker registers. The backend will send requests to it, so not every address is allowed."""

from django.conf import settings

from access.outbound import BadAddress, IPAddress, check, parse

FIELD = "endpoint_url"
NETWORKS = "KTRDR_WORKER_NETWORKS (by default loopback and private networks)"


def validate(url: str) -> str:
    """Return the URL without a trailing slash. Raises BadAddress with the reason."""
    parts, host = parse(url, FIELD)
    if parts.path not in ("", "/") or not {"?", "#"}.isdisjoint(url):
        raise BadAddress(f"{FIELD} must consist of scheme, host and port only.")
    _check_scheme(parts.scheme)
    resolve_allowed(host)
    return url.rstrip("/")


def resolve_allowed(host: str) -> list[IPAddress]:
    """Return the host's current addresses if workers may be there. Raises BadAddress."""
    return check(host, settings.WORKER_NETWORKS, NETWORKS, allow_public=False)


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
