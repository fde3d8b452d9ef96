"""TLS to workers, under a private CA: whom this backend trusts, and in sentences why it does not trust somebody."""

import ssl
from functools import lru_cache
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

from django.conf import settings

HANDSHAKE_TIMEOUT_S = 2.0
HOSTNAME_MISMATCH, ADDRESS_MISMATCH, EXPIRED, NOT_YET_VALID = 62, 64, 10, 9
"""X509_V_ERR_... of OpenSSL."""


class Untrusted(Exception):
    """The worker's certificate is not one that this backend accepts; the message says why."""


def context() -> ssl.SSLContext:
    """Trusts what KTRDR_WORKER_CA signed, for the name or address that is called, and nothing else."""
    return _context(settings.WORKER_CA)


@lru_cache(maxsize=4)
def _context(ca: Path | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        made.load_verify_locations(cafile=ca)
    return made


def check(url: str) -> None:
    """Shakes hands with an https worker. Raises Untrusted; whoever does not answer now is the health sweep's business."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        return
    try:
        with (
            create_connection((parts.hostname, parts.port or 443), HANDSHAKE_TIMEOUT_S) as plain,
            context().wrap_socket(plain, server_hostname=parts.hostname),
        ):
            pass
    except ssl.SSLError as error:
        raise Untrusted(explained(error) or str(error)) from error
    except OSError:
        return


def explained(error: BaseException) -> str | None:
    """The cause in a sentence, where the error, or what it came from, is one of TLS."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if not isinstance(cause, ssl.SSLCertVerificationError):
        if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS at its https address (start it with --tls-cert and --tls-key)"
        return f"TLS failed: {cause.reason or cause}"
    if cause.verify_code in (HOSTNAME_MISMATCH, ADDRESS_MISMATCH):
        return f"its certificate is for another name or address than its URL has ({cause.verify_message})"
    if cause.verify_code in (EXPIRED, NOT_YET_VALID):
        return f"its certificate is out of date ({cause.verify_message})"
    return f"its certificate is not signed by the CA in KTRDR_WORKER_CA ({cause.verify_message})"
