"""The one place that decides what a person may do. Pages act through the API, so it decides for them as well."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from access.roles import Refusals, Role, refusal


class ByRole(BasePermission):
    """Reading needs a viewer, everything else an operator; a view's `roles` says by method where it is otherwise."""

    message = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            return False  # nobody, or a worker
        self.message = refusal(request.user, needed(request.method or "", view))
        return not self.message


def needed(method: str, view: Any) -> Role:
    roles: Mapping[str, Role] = getattr(view, "roles", {})
    return roles.get(method, Role.VIEWER if method in SAFE_METHODS else Role.OPERATOR)


def require(user: User, role: Role) -> None:
    """For a page that acts through no API. Raises PermissionDenied with the reason."""
    if reason := refusal(user, role):
        raise PermissionDenied(reason)


def refused(request: HttpRequest) -> dict[str, Refusals]:
    """Context processor: why a button of this page is disabled for this person."""
    return {"refused": Refusals(request.user)}
