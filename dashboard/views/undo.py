"""Remembers what a person has just deleted, so that the next page offers to restore it."""

from collections.abc import Sequence

from django.http import HttpRequest

KEY, STRATEGY_KEY = "deleted_operations", "deleted_strategy"


def remember_deleted(request: HttpRequest, operation_ids: Sequence[str]) -> None:
    request.session[KEY] = list(operation_ids)


def take_deleted(request: HttpRequest) -> list[str]:
    """Return the ids once."""
    deleted: list[str] = request.session.pop(KEY, [])
    return deleted


def remember_deleted_strategy(request: HttpRequest, name: str) -> None:
    request.session[STRATEGY_KEY] = name


def take_deleted_strategies(request: HttpRequest) -> list[str]:
    """Return the names once."""
    name: str | None = request.session.pop(STRATEGY_KEY, None)
    return [] if name is None else [name]
