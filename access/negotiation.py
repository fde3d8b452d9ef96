"""Chooses the form of a response by the header `Accept`."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class Negotiation(DefaultContentNegotiation):
    """The library's choice, which a program that accepts everything gets without parsing of media types."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        meta: dict[str, Any] = request.META
        if meta.get("HTTP_ACCEPT", "*/*") == "*/*" and not format_suffix and not meta.get("QUERY_STRING"):
            renderer = next(iter(renderers))
            return renderer, renderer.media_type
        renderer, media_type = super().select_renderer(request, renderers, format_suffix)
        return renderer, media_type
