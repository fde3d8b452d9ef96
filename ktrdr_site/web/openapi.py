"""Hooks for the OpenAPI document: each path once, although served at the root and under `/api/v1/`, and all errors."""

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
        "request_id": {"type": "string", "description": "as in the log"},
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
}
REQUEST_ID = "5b9a2c8e-0f2f-4d43-9a51-0c39a5d3b1f7"
EXAMPLES = {
    "invalid": {
        "summary": "Invalid input, with a pointer to it",
        "value": {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "1 field is not valid.",
            "request_id": REQUEST_ID,
            "errors": [{"pointer": "/symbol", "detail": "No market data for GOOGL."}],
        },
    },
    "conflict": {
        "summary": "Not possible in the current state",
        "value": {
            "type": "about:blank",
            "title": "Conflict",
            "status": 409,
            "detail": "The operation has completed.",
            "request_id": REQUEST_ID,
        },
    },
}
LINK = {
    "description": 'the pages before and after this one (RFC 8288): `<URL>; rel="next", <URL>; rel="prev"`',
    "schema": {"type": "string"},
}
REFUSED = {
    "description": (
        "Refused: no credentials 401, not allowed 403, unknown 404, wrong state 409, too large 413, invalid 422 "
        "(400 where the body cannot be read at all), too many 429."
    ),
    "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": EXAMPLES}
    },
}
NO_WORKER = {
    "description": "`queue: false` and no suitable worker is idle; reports the reason and the number of workers. Nothing is stored.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


PATH_LIMITS: dict[str, dict[str, Any]] = {
    "sha256": {"pattern": "^[0-9a-f]{64}$"},
    "number": {"minimum": 0, "maximum": 2**31 - 1},
    "token_id": {"minimum": 1, "maximum": 2**63 - 1},
}
PATH_TEXT_LIMITS = {"minLength": 1, "maxLength": 128}


def root_paths_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(API_PREFIX)]


def with_refusals(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the error responses, which all have one shape, to each operation."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    result["components"]["responses"] = {"Refused": REFUSED, "NoWorker": NO_WORKER}
    for path in result["paths"].values():
        for method, operation in path.items():
            if method in METHODS:
                operation["responses"]["4XX"] = {"$ref": "#/components/responses/Refused"}
                request_content = operation.get("requestBody", {}).get("content", {})
                may_need_worker = "application/json" in request_content or "200" in operation["responses"]
                if "202" in operation["responses"] and may_need_worker:
                    operation["responses"]["503"] = {"$ref": "#/components/responses/NoWorker"}
    return result


def with_limits(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """State the limits of the values in paths, and that a form is required."""
    for path in result["paths"].values():
        for method in METHODS & path.keys():
            body = path[method].get("requestBody", {})
            if "multipart/form-data" in body.get("content", ()):
                body["required"] = True
            for parameter in path[method].get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"] |= _limits_in_path(parameter)
    return result


def _limits_in_path(parameter: dict[str, Any]) -> dict[str, Any]:
    is_text = parameter["schema"]["type"] == "string"
    return PATH_LIMITS.get(parameter["name"], PATH_TEXT_LIMITS if is_text else {})


def with_links(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the Link header, which also holds the URLs of neighbouring pages, to each list."""
    schemas = result["components"]["schemas"]
    for path in result["paths"].values():
        response = path.get("get", {}).get("responses", {}).get("200", {})
        for content in response.get("content", {}).values():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            properties = schemas.get(name, {}).get("properties", {})
            if {"next", "previous", "results"} <= properties.keys() and properties["next"]["type"] != "null":
                response["headers"] = {"Link": LINK}
    return result
