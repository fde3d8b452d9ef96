"""Remembers what a person has just deleted, so that the next page offers to restore it."""

from collections.abc import Sequence

from django.http import HttpRequest

KEY = "deleted_operations"


def remember_deleted(request: HttpRequest, operation_ids: Sequence[str]) -> None:
    request.session[KEY] = list(operation_ids)


def take_deleted(request: HttpRequest) -> list[str]:
    """Return the ids once."""
    deleted: list[str] = request.session.pop(KEY, [])
    return deleted
