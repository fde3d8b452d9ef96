"""Roles by group: viewers read, operators run operations, staff manage workers and tokens.

Users without a group are viewers. Superusers and Django's staff users have the role staff without a group.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class Role(IntEnum):
    """In ascending order: each role includes the ones before it. The lower-case name is the name of the group."""

    VIEWER = 1
    OPERATOR = 2
    STAFF = 3

    @property
    def group(self) -> str:
        return self.name.lower()


def role_of(user: "User") -> Role:
    """Return the highest role of the user's groups. The database is queried once per request."""
    role: Role | None = getattr(user, "_ktrdr_role", None)
    if role is None:
        role = _load_role(user)
        user._ktrdr_role = role  # type: ignore[attr-defined]  # cached on the request's own user object
    return role


def note_groups(user: "User", groups: Collection[str]) -> None:
    """Derive the role from the names of the user's groups, which were read together with the user."""
    user._ktrdr_role = _role_in(user, groups)  # type: ignore[attr-defined]  # see `role_of`


def limit_role(user: "User", role: Role) -> None:
    """Give the user at most this role for the rest of the request, whose credentials may do less than the user."""
    if role < Role.STAFF:
        user._ktrdr_role = min(role, role_of(user))  # type: ignore[attr-defined]  # see `role_of`


def _load_role(user: "User") -> Role:
    if user.is_superuser or user.is_staff:
        return Role.STAFF
    return _role_in(user, set(user.groups.values_list("name", flat=True)))


def _role_in(user: "User", groups: Collection[str]) -> Role:
    if user.is_superuser or user.is_staff:
        return Role.STAFF
    return max((role for role in Role if role.group in groups), default=Role.VIEWER)


def refusal(user: "User | AnonymousUser", required: Role) -> str:
    """Explain in one sentence why the user may not do it; empty if they may."""
    if user.is_anonymous:
        return "Sign in first."
    if required is Role.VIEWER:
        return ""  # every account may read, so the groups need not be queried
    role = role_of(user)
    if role >= required:
        return ""
    return (
        f"This requires the role {required.group}; yours is {role.group}. An administrator can assign roles."
    )


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
