"""The OpenAPI document: every path once, although it is served at the root and under `/api/v1/`, and every refusal."""

from typing import Any

API_PREFIX = "/api/v1/"
METHODS = {"get", "put", "post", "delete", "patch"}
PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "one sentence for people"},
        "request_id": {"type": "string", "description": "as it stands in the log"},
        "errors": {
            "type": "array",
            "description": "where the input is invalid",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "into the body (RFC 6901)"},
                    "detail": {"type": "string"},
                    "line": {"type": ["integer", "null"], "description": "of a strategy file"},
                    "column": {"type": ["integer", "null"]},
                },
                "required": ["pointer"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
    "example": {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It has completed.",
        "request_id": "5b9a2c8e-0f2f-4d43-9a51-0c39a5d3b1f7",
    },
}
REFUSED = {
    "description": (
        "Refused: no credentials 401, not allowed 403, unknown 404, wrong state 409, too large 413, invalid 422 "
        "(400 where the body cannot be read at all), too many 429."
    ),
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def root_paths_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(API_PREFIX)]


def with_refusals(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Each operation may refuse, and does so in one shape."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    for path in result["paths"].values():
        for method, operation in path.items():
            if method in METHODS:
                operation["responses"]["4XX"] = REFUSED
    return result
