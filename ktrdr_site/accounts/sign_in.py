"""The only page that accepts passwords for signing in. Attempts are throttled by device, or by address and user name."""

from http import HTTPStatus
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from access import audit, throttling
from access.actors import Actor
from access.client_address import client_address
from access.models import AuditEntry
from ktrdr_site.accounts import device_cookie
from ktrdr_site.second_factor import factors, pending

log = structlog.get_logger(__name__)

Act = AuditEntry.Act


class SignInForm(AuthenticationForm):
    wait_s = 0
    """Seconds until the next attempt is checked."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless a bucket is full: then it is not even looked at."""
        assert self.request is not None, "the view passes its request"
        name = str(self.cleaned_data.get("username") or "")
        buckets = _buckets(self.request, name)
        self.wait_s = throttling.take(buckets)
        if self.wait_s:
            raise ValidationError(f"Too many failed attempts. Try again in {self.wait_s} seconds.")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            _record_failure(self.request, name)
            raise
        throttling.give_back(buckets)
        return cleaned


def _buckets(request: HttpRequest, name: str) -> list[throttling.Bucket]:
    """Return the buckets that an attempt fills: a known browser's own, else those of its address and of the name."""
    if device := device_cookie.device_of(request, name):
        return [(throttling.SIGN_IN_BY_DEVICE, device)]
    buckets = [(throttling.SIGN_IN_BY_ADDRESS, client_address(request) or "")]
    return [*buckets, (throttling.SIGN_IN_BY_NAME, name.lower())] if name else buckets


def _record_failure(request: HttpRequest, name: str) -> None:
    """Record the name only if it is a user's: people also type passwords into the field."""
    is_known = get_user_model().objects.filter(username=name.replace("\x00", "")).exists()
    subject = name if is_known else "unknown user"
    audit.record(Act.SIGN_IN_FAILED, subject, Actor("anonymous", address=client_address(request)))
    log.warning("sign-in failed", user=subject, address=client_address(request))


class SignIn(LoginView):
    authentication_form = SignInForm
    http_method_names = ["get", "head", "post"]
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if factors.has_factor(user):
            pending.remember(self.request, user, self.get_success_url())
            return redirect("sign_in_code")
        response = super().form_valid(form)
        actor = Actor.from_request(self.request)
        name = user.get_username()
        audit.record(Act.SIGNED_IN, name, actor)
        device_cookie.remember(self.request, response, name)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        wait_s = getattr(form, "wait_s", 0)
        if wait_s:
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response["Retry-After"] = str(wait_s)
        return response
