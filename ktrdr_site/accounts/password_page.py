"""The page on which every user changes their own password. Wrong current passwords are throttled by user."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods

from access import audit, throttling
from access.actors import Actor
from access.models import AuditEntry


class OwnPasswordForm(PasswordChangeForm):
    def clean_old_password(self) -> str:
        """Check the current password, unless too many were wrong: a stolen session must not be a way to guess it."""
        bucket = [(throttling.PASSWORD_BY_USER, str(self.user.pk))]
        if wait_s := throttling.take(bucket):
            raise ValidationError(f"Too many wrong passwords. Try again in {wait_s} seconds.")
        password: str = super().clean_old_password()
        throttling.give_back(bucket)
        return password


class ChangePassword(PasswordChangeView):
    """Django ends all other sessions of the user."""

    form_class = OwnPasswordForm
    template_name = "registration/change_password.html"
    success_url = reverse_lazy("dashboard:overview")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        actor = Actor.from_request(self.request)
        audit.record(AuditEntry.Act.PASSWORD_CHANGED, form.user.get_username(), actor)
        messages.success(self.request, "Your password is changed; your other sessions have ended.")
        return response


change_password = require_http_methods(["GET", "HEAD", "POST"])(ChangePassword.as_view())
