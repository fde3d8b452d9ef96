"""`GET /schema/`, which anybody may ask for: the OpenAPI document, made once in a process."""

import threading

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_documents: dict[type[BaseRenderer], bytes] = {}
_lock = threading.Lock()
"""Held while the document is made, so that requests at the same time make it once."""


class SchemaView(SpectacularAPIView):
    """Makes and renders the document for the first request of each format: that takes a second of processor time."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        with _lock:
            content = _documents.get(type(renderer)) or self._make(request, renderer)
        return HttpResponse(
            content,
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="KTRDR.{renderer.format}"'},
        )

    def _make(self, request: Request, renderer: BaseRenderer) -> bytes:
        generator = self.generator_class(urlconf=self.urlconf)
        data = generator.get_schema(request=request, public=self.serve_public)  # type: ignore[no-untyped-call]
        content = renderer.render(data, renderer_context=self.get_renderer_context())
        _documents[type(renderer)] = content if isinstance(content, bytes) else content.encode()
        return _documents[type(renderer)]
