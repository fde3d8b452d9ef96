"""What a page's view is given, and the decorator of pages that only read."""

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
    """A request as the middleware leaves it, from somebody who is signed in."""

    htmx: HtmxDetails
    user: User


def for_role(
    role: Role,
) -> Callable[
    [Callable[Concatenate[PageRequest, P], HttpResponseBase]],
    Callable[Concatenate[PageRequest, P], HttpResponseBase],
]:
    """For people of this role, below `login_required` or `page`; others are told why not."""

    def guarded(
        view: Callable[Concatenate[PageRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[PageRequest, P], HttpResponseBase]:
        @wraps(view)
        def permitted(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            require(request.user, role)
            return view(request, *args, **kwargs)

        return permitted

    return guarded


def page(view: Callable[Concatenate[PageRequest, P], R]) -> Callable[..., HttpResponseBase]:
    """For people who are signed in, GET and HEAD only, never kept by caches in between."""
    return cache_control(private=True, no_cache=True)(require_safe(login_required(view)))
