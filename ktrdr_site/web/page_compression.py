"""Compresses whole pages. On a first visit only the static files are larger."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressPagesMiddleware(GZipMiddleware):
    """Compress only pages: files are already compressed and may be sent in ranges, agents and clients request uncompressed
    responses, and live parts are small and frequent.

    A page contains the CSRF token. Django masks the token differently in each response and adds up to 100 random bytes to
    each compressed one, so an attacker who controls other parts of the page cannot infer the token from the length (BREACH).
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_page = response.get("Content-Type", "").startswith("text/html") and not response.streaming
        if not is_page or "HX-Request" in request.headers:
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
