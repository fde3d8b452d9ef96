"""The agent's own TLS certificate, for a backend that calls it over https."""

import ssl
from pathlib import Path


class UnusableCertificate(Exception):
    """The certificate or its key cannot be used; the message contains the reason."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load the certificate and its key. Raises UnusableCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        if not path.is_file():
            raise UnusableCertificate(f"{path} does not exist or is not a file")
    try:
        # With an empty password an encrypted key is an error, not a prompt at which a service would hang.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise UnusableCertificate(
            f"{certificate} and {key} do not match or cannot be read: {error}"
        ) from error
    return context
