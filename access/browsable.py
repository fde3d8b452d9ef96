"""The browsable API, styled like the other pages and allowed by their content security policy, which DRF's own pages violate."""

import json
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request, override_method

from access.json_bodies import BoundedJSONParser

MEDIA_TYPE = BrowsableAPIRenderer.media_type


class Browsable(BrowsableAPIRenderer):
    """Forms send JSON, prefilled with the `example` of the view."""

    filter_template = "rest_framework/filters.html"

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """Offer no form with one input per field: a view's serializer describes its responses, not its requests."""
        if method not in ("DELETE", "OPTIONS"):
            return None
        return super().get_rendered_html_form(data, view, method, request)

    def get_raw_data_form(  # type: ignore[override]  # text for our own template instead of a form
        self, data: Any, view: Any, method: str, request: Request
    ) -> str | None:
        """Return the example body as text, or None if the person may not send it or the view expects a file."""
        if view.parser_classes[0] is not BoundedJSONParser:
            return None
        with override_method(view, request, method) as inner:
            if not self.show_form_for_method(view, method, inner, None):
                return None
        return json.dumps(getattr(view, "example", {}), indent=2)
