"""A sign-in whose password was right and whose second factor is missing. The session has no user yet."""

import time

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

KEY = "pending_sign_in"
MAX_AGE_S = 300


def remember(request: HttpRequest, user: User, target: str) -> None:
    """Store the user, and the page that they want. The session gets a new key, as in a complete sign-in."""
    request.session.cycle_key()
    request.session[KEY] = {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "at": int(time.time()),
        "target": target,
    }


def load(request: HttpRequest) -> tuple[User, str] | None:
    """Return user and page, unless the sign-in is too old or the user's account or password has changed."""
    pending = request.session.get(KEY)
    if pending is None or time.time() - pending["at"] > MAX_AGE_S:
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True).first()
    if user is None or not constant_time_compare(pending["password"], user.get_session_auth_hash()):
        return None
    return user, pending["target"]


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)
