"""The only page that accepts passwords. Failed attempts are throttled by address and by user name."""

from http import HTTPStatus
from typing import Any

import structlog
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpResponse

from access import throttling
from access.client_address import client_address

log = structlog.get_logger(__name__)


class SignInForm(AuthenticationForm):
    wait_s = 0
    """Seconds until the next attempt is checked."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless the user name or address is throttled: then it is not even looked at."""
        assert self.request is not None, "the view passes its request"
        address = client_address(self.request) or ""
        buckets = [(throttling.SIGN_IN_BY_ADDRESS, address)]
        if name := self.cleaned_data.get("username"):
            buckets.append((throttling.SIGN_IN_BY_NAME, str(name).lower()))
        self.wait_s = max(throttling.wait_s(limit, subject) for limit, subject in buckets)
        if self.wait_s:
            raise ValidationError(f"Too many failed attempts. Try again in {self.wait_s} seconds.")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            for limit, subject in buckets:
                throttling.record_failure(limit, subject)
            log.warning("sign-in failed", address=address)
            raise
        throttling.reset(*buckets[-1])
        return cleaned


class SignIn(LoginView):
    authentication_form = SignInForm
    http_method_names = ["get", "head", "post"]
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        wait_s = getattr(form, "wait_s", 0)
        if wait_s:
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response["Retry-After"] = str(wait_s)
        return response
