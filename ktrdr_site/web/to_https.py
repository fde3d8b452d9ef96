"""With KTRDR_HTTPS=on, redirects plain http to https.

Programs on this machine are exempt: the workers of `manage.py up`, a scraper, a script with a token. They bypass the
proxy that terminates TLS, their requests cross no network, and the port they call does not speak TLS. Django's own
redirect supports exceptions only by path, which would open those paths to everybody.
"""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from ktrdr_site.web.impersonal import PROBES

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded")
"""Set by a proxy; then the connecting address is the proxy's."""


class ToHttpsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.HTTPS:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.is_secure() or PROBES.fullmatch(request.path) or _is_local_program(request):
            return self.get_response(request)
        return HttpResponsePermanentRedirect(f"https://{request.get_host()}{request.get_full_path()}")


def _is_local_program(request: HttpRequest) -> bool:
    if any(header in request.headers for header in FORWARDED):
        return False
    if not request.headers.get("Authorization", "").startswith("Bearer"):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a unix socket, which only a proxy uses
        return False
