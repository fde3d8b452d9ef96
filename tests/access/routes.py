"""Every route of the site as its URL conf has it, with the methods that its view answers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
AGAIN = "api/v1/"
ADMIN = "admin/"


@dataclass(frozen=True, slots=True)
class Route:
    pattern: str
    """`operations/<str:operation_id>`, as the URL conf writes it"""
    view: Any

    def address(self, values: dict[str, Any]) -> str:
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), self.pattern)


def all_routes() -> list[Route]:
    return list(_walk("", get_resolver().url_patterns))


def _walk(prefix: str, patterns: list[URLPattern | URLResolver]) -> Iterator[Route]:
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(here, pattern.url_patterns)
        else:
            yield Route(here, pattern.callback)


def own_routes() -> list[Route]:
    """Without Django's administration, and each of the API's once."""
    return [route for route in all_routes() if not route.pattern.startswith((ADMIN, AGAIN))]


def methods(route: Route, status_of: Callable[[str], int]) -> list[str]:
    """DRF asks for credentials before it looks at the method, so its classes are asked; every other view is tried."""
    if (view_class := getattr(route.view, "cls", None)) is not None:
        return [method for method in METHODS if hasattr(view_class, method.lower())]
    return [method for method in METHODS if status_of(method) != 405]
