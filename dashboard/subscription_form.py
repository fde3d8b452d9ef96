"""The form of a subscription, for its page and the admin."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from access.outbound import BadAddress
from operations.models import Subscription
from operations.models.notification import ON_CHOICE
from operations.notifications import receivers


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    kinds = forms.MultipleChoiceField(
        choices=ON_CHOICE,
        widget=forms.CheckboxSelectMultiple,
        label="Events",
        error_messages={"required": "Select at least one event."},
    )

    class Meta:
        model = Subscription
        fields = ("name", "channel", "target", "kinds", "operation_type")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        channel, target = cleaned.get("channel"), cleaned.get("target")
        if channel == Subscription.Channel.WEBHOOK and target:
            try:
                receivers.address_of(target)
            except BadAddress as error:
                self.add_error("target", str(error))
        elif channel == Subscription.Channel.EMAIL and target:
            self._validate_email(target)
        return cleaned

    def _validate_email(self, target: str) -> None:
        if not settings.EMAIL_CONFIGURED:
            self.add_error("channel", "No mail server is configured: set KTRDR_EMAIL_URL.")
        try:
            validate_email(target)
        except ValidationError:
            self.add_error("target", f"{target} is not an e-mail address.")
