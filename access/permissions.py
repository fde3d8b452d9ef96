"""Decides what a person may do. Pages act through the API, so the same rules apply to them."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from access.roles import Refusals, Role, refusal


class ByRole(BasePermission):
    """Require a viewer for reading and an operator for everything else; a view's `roles` overrides this per method."""

    message = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            return False  # anonymous, or a worker
        self.message = refusal(request.user, required_role(request.method or "", view))
        return not self.message


def required_role(method: str, view: Any) -> Role:
    roles: Mapping[str, Role] = getattr(view, "roles", {})
    return roles.get(method, Role.VIEWER if method in SAFE_METHODS else Role.OPERATOR)


def require(user: User, role: Role) -> None:
    """Check the role on a page that does not act through the API. Raises PermissionDenied with the reason."""
    if reason := refusal(user, role):
        raise PermissionDenied(reason)


def refusals(request: HttpRequest) -> dict[str, Refusals]:
    """Context processor: explain why a button of the page is disabled for this person."""
    return {"refused": Refusals(request.user)}
