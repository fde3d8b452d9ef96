"""The agent's own certificate, where the backend speaks TLS to it."""

import ssl
from pathlib import Path


class UnusableCertificate(Exception):
    """The certificate or its key cannot be used; the message says why."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises UnusableCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        if not path.is_file():
            raise UnusableCertificate(f"{path} is not there")
    try:
        # An empty password rather than a prompt, at which a service would hang.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise UnusableCertificate(f"{certificate} and {key} do not go together: {error}") from error
    return context
