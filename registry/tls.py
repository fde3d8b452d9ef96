"""TLS to workers under a private CA, with readable reasons when a certificate is not trusted."""

import ssl
from functools import lru_cache
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

from django.conf import settings

from registry import worker_urls

HANDSHAKE_TIMEOUT_S = 2.0
HOSTNAME_MISMATCH, ADDRESS_MISMATCH, EXPIRED, NOT_YET_VALID = 62, 64, 10, 9
"""OpenSSL's X509_V_ERR_... codes."""


class Untrusted(Exception):
    """The backend does not accept the worker's certificate; the message explains why."""


def context() -> ssl.SSLContext:
    """Return a context that trusts only certificates signed by KTRDR_WORKER_CA, for the called name or address."""
    return _context(settings.WORKER_CA)


@lru_cache(maxsize=4)
def _context(ca: Path | None) -> ssl.SSLContext:
    ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ssl_context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        ssl_context.load_verify_locations(cafile=ca)
    return ssl_context


def check(url: str) -> None:
    """Do a TLS handshake with an https worker. Raises Untrusted, BadAddress.

    A worker that does not respond is left to the health sweep.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        return
    for address in worker_urls.resolve_allowed(parts.hostname):
        try:
            with (
                create_connection((str(address), parts.port or 443), HANDSHAKE_TIMEOUT_S) as plain,
                context().wrap_socket(plain, server_hostname=parts.hostname),
            ):
                return
        except ssl.SSLError as error:
            raise Untrusted(explain(error) or str(error)) from error
        except OSError:
            continue


def explain(error: BaseException) -> str | None:
    """Return the cause in words if the error, or an error that caused it, is a TLS error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if not isinstance(cause, ssl.SSLCertVerificationError):
        if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return (
                "the worker does not speak TLS at its https address (start it with --tls-cert and --tls-key)"
            )
        return f"TLS failed: {cause.reason or cause}"
    if cause.verify_code in (HOSTNAME_MISMATCH, ADDRESS_MISMATCH):
        return f"its certificate does not match the name or address in its URL ({cause.verify_message})"
    if cause.verify_code in (EXPIRED, NOT_YET_VALID):
        return f"its certificate is expired or not yet valid ({cause.verify_message})"
    return f"its certificate is not signed by the CA in KTRDR_WORKER_CA ({cause.verify_message})"
