"""Shared by the views of saved strategies: look-up and errors."""

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.models import User
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from access.problems import Conflict
from strategies.models import SavedStrategy, StrategyVersion
from strategies.saving import NameTaken, NotDeleted, Outdated

T = TypeVar("T")


def get_or_404(name: str) -> SavedStrategy:
    """Return the strategy with its newest version's number and digest. Raises NotFound."""
    rows = SavedStrategy.objects.with_current().select_related("created_by").prefetch_related("tags")
    strategy: SavedStrategy | None = None if "\x00" in name else rows.filter(name=name).first()
    if strategy is None:
        raise NotFound("Unknown strategy.")
    return strategy


def version_or_404(name: str, number: int) -> StrategyVersion:
    """Return a version of the strategy. Raises NotFound."""
    versions = get_or_404(name).versions.select_related("created_by")
    version = versions.filter(number=number).first() if number < 2**31 else None
    if version is None:
        raise NotFound("Unknown version.")
    return version


def write(act: Callable[[], T]) -> T:
    """Run a function of `saving`. Raises Conflict, NotFound."""
    try:
        return act()
    except (NameTaken, NotDeleted, Outdated) as error:
        raise Conflict(str(error)) from error
    except SavedStrategy.DoesNotExist as error:
        raise NotFound("Unknown strategy.") from error


def user_of(request: Request) -> User:
    assert isinstance(request.user, User), "the permission admits only people"
    return request.user
