"""Django's check of passwords; the user of each request comes with whether they have a second factor, in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User

from ktrdr_site.second_factor import factors


class PasswordBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        user = factors.with_factor(User.objects.filter(pk=user_id)).first()
        return user if user is not None and self.user_can_authenticate(user) else None
