"""What a person may do, by group: viewers read, operators run operations, staff look after workers and tokens.

Whoever has an account may read. The superuser, and whoever Django calls staff, has the role staff without a group.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class Role(IntEnum):
    """In order: each may do what the ones before it may. The lower-case name is the group's."""

    VIEWER = 1
    OPERATOR = 2
    STAFF = 3

    @property
    def group(self) -> str:
        return self.name.lower()


def role_of(user: "User") -> Role:
    """The highest that one of the person's groups gives; asked of the database once per request."""
    known: Role | None = getattr(user, "_ktrdr_role", None)
    if known is None:
        known = _read(user)
        user._ktrdr_role = known  # type: ignore[attr-defined]  # kept with the request's own user
    return known


def _read(user: "User") -> Role:
    if user.is_superuser or user.is_staff:
        return Role.STAFF
    groups = set(user.groups.values_list("name", flat=True))
    return max((role for role in Role if role.group in groups), default=Role.VIEWER)


def refusal(user: "User | AnonymousUser", needed: Role) -> str:
    """Why the person may not, in one sentence; empty where they may."""
    if user.is_anonymous:
        return "Sign in first."
    if needed is Role.VIEWER:
        return ""  # whoever has an account may read; the groups need not be asked for
    has = role_of(user)
    if has >= needed:
        return ""
    return f"This needs the role {needed.group}; yours is {has.group}. An administrator gives roles."


class Refusals:
    """For templates: `refused.operator` and `refused.staff`."""

    def __init__(self, user: "User | AnonymousUser") -> None:
        self._user = user

    @property
    def operator(self) -> str:
        return refusal(self._user, Role.OPERATOR)

    @property
    def staff(self) -> str:
        return refusal(self._user, Role.STAFF)
