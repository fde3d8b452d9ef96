"""Django's check of passwords; the user of each request comes with whether they have a second factor, in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django_otp.plugins.otp_totp.models import TOTPDevice


class PasswordBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        confirmed = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        user = User.objects.annotate(has_second_factor=Exists(confirmed)).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
