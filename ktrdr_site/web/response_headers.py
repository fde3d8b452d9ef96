"""Headers of every response except static files: who may keep it, and what the browser may do with it."""

from collections.abc import Callable

from csp.constants import HEADER
from csp.utils import build_policy
from django.http import HttpRequest
from django.http.response import HttpResponseBase

UNUSED_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope",
    "hid", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in UNUSED_FEATURES)
PAGE, DATA = "private, no-cache", "private, no-store"
"""A browser may keep a page for its Back button; nothing keeps data of the API."""


class ResponseHeadersMiddleware:
    """Keeps a Cache-Control and a content policy that the view has set.

    The policy of all others is the same, so it is built once: django-csp's own middleware builds it for each response.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._policy = build_policy()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.setdefault(HEADER, self._policy)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.setdefault("Cache-Control", PAGE if is_page else DATA)
        return response
