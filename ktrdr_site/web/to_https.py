"""With KTRDR_HTTPS=on, whoever comes by plain http is sent to https.

Not so the programs of this very machine, such as the workers of `manage.py up`, a scraper, or a script with a token.
They pass by the proxy that ends TLS, nothing of theirs crosses a wire, and where they call there is no TLS to send
them to. Django's own redirect knows exceptions by path alone, which would open them to everybody.
"""

import ipaddress
import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

PROBES = re.compile(r"/(api/v1/)?(health|readyz)")
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded")
"""A proxy was there: the address that connects is its own."""


class ToHttpsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.HTTPS:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.is_secure() or PROBES.fullmatch(request.path) or _is_program_here(request):
            return self.get_response(request)
        return HttpResponsePermanentRedirect(f"https://{request.get_host()}{request.get_full_path()}")


def _is_program_here(request: HttpRequest) -> bool:
    if any(header in request.headers for header in FORWARDED):
        return False
    if not request.headers.get("Authorization", "").startswith("Bearer"):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a unix socket, at which proxies listen
        return False
