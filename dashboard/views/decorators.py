"""The request type of pages and the decorators of their views."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from access.permissions import require
from access.roles import Role

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)


class PageRequest(HttpRequest):
    """A request of a signed-in user, as the middleware prepares it."""

    htmx: HtmxDetails
    user: User


def require_role(
    role: Role,
) -> Callable[
    [Callable[Concatenate[PageRequest, P], HttpResponseBase]],
    Callable[Concatenate[PageRequest, P], HttpResponseBase],
]:
    """Allow only users with this role; others get an explanation. Goes below `login_required` or `page`."""

    def decorate(
        view: Callable[Concatenate[PageRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[PageRequest, P], HttpResponseBase]:
        @wraps(view)
        def check_role(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            require(request.user, role)
            return view(request, *args, **kwargs)

        return check_role

    return decorate


def page(view: Callable[Concatenate[PageRequest, P], R]) -> Callable[..., HttpResponseBase]:
    """Require a signed-in user and GET or HEAD, and keep the response out of shared caches."""
    return cache_control(private=True, no_cache=True)(require_safe(login_required(view)))
