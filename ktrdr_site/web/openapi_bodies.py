"""How the OpenAPI document describes the body of a request."""

from drf_spectacular.openapi import AutoSchema


class JsonSchema(AutoSchema):
    """Describes bodies as JSON. Views also accept forms, which the browsable API sends; a file upload states its own."""

    def map_parsers(self) -> list[str]:
        return ["application/json"]
