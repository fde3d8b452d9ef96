"""Accounts: created, given a role, deactivated and signed out by staff. Each change is audited."""

import secrets

from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from access.roles import Role

Act = AuditEntry.Act
PASSWORD_BYTES = 12


class AccountProblem(Exception):
    """The change is refused. The message is one sentence for people."""


def create(username: str, role: Role, by: Actor) -> str:
    """Create a user and return the generated password, which can be read only now. Raises AccountProblem."""
    username = User.normalize_username(username.strip())
    _check_name(username)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        with transaction.atomic():
            user = User.objects.create_user(username, password=password)
            user.groups.set([Group.objects.get(name=role.group)])
            audit.record(Act.USER_CREATED, username, by, role.group)
    except IntegrityError as error:
        raise AccountProblem(f"There is already a user {username}.") from error
    return password


def _check_name(username: str) -> None:
    field = User._meta.get_field("username")
    is_valid = 0 < len(username) <= (field.max_length or 0)
    if not is_valid or not all(character.isalnum() or character in "@.+-_" for character in username):
        raise AccountProblem("A user name has 1 to 150 letters, digits and @ . + - _ characters.")


def set_role(user: User, role: Role, by: Actor) -> None:
    """Replace the user's groups that give a role. Raises AccountProblem."""
    refuse_superuser(user)
    with transaction.atomic():
        user.groups.remove(*Group.objects.filter(name__in=[other.group for other in Role]))
        user.groups.add(Group.objects.get(name=role.group))
        audit.record(Act.USER_ROLE_CHANGED, user.username, by, role.group)


def deactivate(user: User, by: Actor) -> None:
    """End the user's access at once: sessions and API tokens of an inactive user are refused. Raises AccountProblem."""
    refuse_superuser(user)
    if by.user_id == user.pk:
        raise AccountProblem("You cannot deactivate your own account.")
    with transaction.atomic():
        if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            audit.record(Act.USER_DEACTIVATED, user.username, by)
    end_sessions(user)


def activate(user: User, by: Actor) -> None:
    """Give a deactivated user access again. Raises AccountProblem."""
    refuse_superuser(user)
    with transaction.atomic():
        if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            audit.record(Act.USER_ACTIVATED, user.username, by)


def sign_out_everywhere(user: User, by: Actor) -> int:
    """End every session of the user and return their number. API tokens are not sessions and stay valid."""
    number = end_sessions(user)
    audit.record(Act.USER_SIGNED_OUT, user.username, by, f"{number} sessions")
    return number


def end_sessions(user: User) -> int:
    """Delete the user's sessions and return their number. The user of a session is inside its signed content."""
    keys = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator()
        if session.get_decoded().get("_auth_user_id") == str(user.pk)
    ]
    deleted, _ = Session.objects.filter(pk__in=keys).delete()
    return deleted


def refuse_superuser(user: User) -> None:
    """Staff must not change the account of somebody who may do more than they may."""
    if user.is_superuser:
        raise AccountProblem(f"{user.username} is a superuser; superusers are changed in the administration.")
