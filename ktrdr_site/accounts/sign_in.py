"""The one page that takes passwords. Who guesses is slowed, by address and by name, and told for how long."""

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
    """Until the next attempt is looked at."""

    def clean(self) -> dict[str, Any]:
        """A password is not looked at while its name or address is slowed, so that guessing gains nothing by hurry."""
        assert self.request is not None, "made by the view, which has one"
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
        answer = super().form_invalid(form)
        wait_s = getattr(form, "wait_s", 0)
        if wait_s:
            answer.status_code = HTTPStatus.TOO_MANY_REQUESTS
            answer["Retry-After"] = str(wait_s)
        return answer
