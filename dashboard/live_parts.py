"""Live parts of a page whose session has ended lead to the sign-in page instead of showing it inside the page."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url


class SignInAgainMiddleware:
    """Turn the redirect to the sign-in page into 401 with `HX-Redirect` for requests of htmx.

    htmx follows redirects itself and would insert the sign-in page into the live part. `next` is the page that the
    user sees, not the address of its part.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not getattr(request, "htmx", False):
            return response
        if response.headers.get("Location", "").partition("?")[0] != resolve_url(settings.LOGIN_URL):
            return response
        page = request.htmx.current_url_abs_path or settings.LOGIN_REDIRECT_URL  # type: ignore[attr-defined]
        refusal = HttpResponse(status=HTTPStatus.UNAUTHORIZED)
        refusal["HX-Redirect"] = redirect_to_login(page).url
        return refusal
