"""A cookie by which a browser is known after its first sign-in (OWASP: slow down online guessing with device cookies).

A known browser has its own bucket of attempts. Attempts from elsewhere fill only the buckets of the name and of their
address, so nobody can keep the owner of a known browser out. The cookie gives no access.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

NAME = "ktrdr_device"
MAX_AGE_S = 365 * 24 * 3600
_signer = signing.TimestampSigner(salt="ktrdr.device")


def device_of(request: HttpRequest, username: str) -> str | None:
    """Return the device's random id if the browser has signed in as this user before."""
    try:
        value = _signer.unsign(request.COOKIES.get(NAME, ""), max_age=MAX_AGE_S)
    except signing.BadSignature:
        return None
    device, _, owner = value.partition(" ")
    return device if owner == username.lower() else None


def remember(request: HttpRequest, response: HttpResponse, username: str) -> None:
    """Set the cookie, or renew that of a known browser."""
    device = device_of(request, username) or secrets.token_urlsafe(16)
    response.set_cookie(
        NAME,
        _signer.sign(f"{device} {username.lower()}"),
        max_age=MAX_AGE_S,
        path=reverse("login"),
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
