"""The API in a browser: in the look of the pages and under their policy, which DRF's own pages break."""

import json
from typing import Any

from rest_framework.parsers import JSONParser
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request, override_method

MEDIA_TYPE = BrowsableAPIRenderer.media_type


class Browsable(BrowsableAPIRenderer):
    """Forms send JSON, filled with the `example` of the view."""

    filter_template = "rest_framework/filters.html"

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """No form field by field: a view's serializer describes its answers, not what it takes."""
        if method not in ("DELETE", "OPTIONS"):
            return None
        return super().get_rendered_html_form(data, view, method, request)

    def get_raw_data_form(  # type: ignore[override]  # text for our own template instead of a form
        self, data: Any, view: Any, method: str, request: Request
    ) -> str | None:
        """What is to be sent, as text; none where the person may not, or where a file is wanted."""
        if view.parser_classes[0] is not JSONParser:
            return None
        with override_method(view, request, method) as inner:
            if not self.show_form_for_method(view, method, inner, None):
                return None
        return json.dumps(getattr(view, "example", {}), indent=2)
