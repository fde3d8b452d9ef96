"""What a page's view is given, and the decorator of pages that only read."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)


class PageRequest(HttpRequest):
    """A request as the middleware leaves it, from somebody who is signed in."""

    htmx: HtmxDetails
    user: User


def page(view: Callable[Concatenate[PageRequest, P], R]) -> Callable[..., HttpResponseBase]:
    """For people who are signed in, GET and HEAD only, never kept by caches in between."""
    return cache_control(private=True, no_cache=True)(require_safe(login_required(view)))
