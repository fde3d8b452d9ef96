"""The web server, seen from outside, and insecure settings."""

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.http.request import validate_host

from ktrdr_site.doctor.finding import Finding, problem, warning

TIMEOUT_S = 5.0


def insecure_settings() -> Iterator[Finding]:
    if settings.DEBUG:
        yield problem(
            "settings",
            "KTRDR_DEBUG is on; error pages show code and settings to anyone who causes an error.",
            "Set KTRDR_DEBUG=off and restart the site.",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            "settings",
            "KTRDR_ALLOWED_HOSTS is *; the site accepts any host name, including one that somebody else points at it.",
            "List the host names that browsers and workers use.",
        )


def responds(url: str) -> Iterator[Finding]:
    """Check that this site responds at `url`."""
    parts = urlsplit(url)
    place = parts.netloc
    if not validate_host(parts.hostname or "", settings.ALLOWED_HOSTS):
        yield problem(
            "web",
            f"{parts.hostname} is not in KTRDR_ALLOWED_HOSTS; requests with that host name get status 400.",
            f"Set KTRDR_ALLOWED_HOSTS={','.join([*settings.ALLOWED_HOSTS, parts.hostname or ''])}",
        )
    try:
        response = httpx.get(
            f"{url.rstrip('/')}/health", timeout=TIMEOUT_S, trust_env=False, verify=_tls_context()
        )
    except httpx.ConnectError as error:
        if refusal := _refusal_of_the_certificate(error):
            yield problem(
                "web",
                f"The certificate of {place} is not accepted here: {refusal.verify_message.rstrip('.')}.",
                "Add a private CA to the certificates of this machine (update-ca-certificates), or set SSL_CERT_FILE; "
                "otherwise renew the proxy's certificate for this name.",
            )
            return
        yield problem(
            "web",
            f"Nothing is listening at {place} ({error}).",
            "Start the site (manage.py up, or the web service), or pass its address with --url.",
        )
    except httpx.HTTPError as error:
        yield problem(
            "web",
            f"{place} does not respond within {TIMEOUT_S:g} s ({type(error).__name__}).",
            "Check the log of the web server: all its threads may be busy, or a proxy or firewall drops requests.",
        )
    else:
        yield from _check_response(place, response)


def _refusal_of_the_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _tls_context() -> ssl.SSLContext:
    """Trust public CAs and, like workers, those of this machine or of SSL_CERT_FILE."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _check_response(place: str, response: httpx.Response) -> Iterator[Finding]:
    if response.status_code == HTTPStatus.BAD_REQUEST:
        yield problem(
            "web",
            f"{place} rejects the host name of this request (400).",
            "The running site has a different KTRDR_ALLOWED_HOSTS than this command; set it for the service too.",
        )
    elif response.status_code != HTTPStatus.OK or not _is_ours(response):
        yield problem(
            "web",
            f"The server at {place} is not KTRDR: it returns {response.status_code} for /health.",
            "Another program uses this port; stop it, or choose another port (manage.py up --port).",
        )


def _is_ours(response: httpx.Response) -> bool:
    try:
        body: object = response.json()
    except ValueError:
        return False
    return body == {"status": "ok"}
