"""Compresses whole pages, which are the largest part of a first visit after the static files."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressPagesMiddleware(GZipMiddleware):
    """Leave everything but pages as it is: files are compressed already and may be parts of a range, programs refuse
    compressed responses, and live parts are small and sent often.

    A page contains the token against forged requests. Django masks it anew for each response and adds up to 100 random
    bytes to each compressed one, so that its length does not tell the token to somebody who can choose other parts.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_page = response.get("Content-Type", "").startswith("text/html") and not response.streaming
        if not is_page or "HX-Request" in request.headers:
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
