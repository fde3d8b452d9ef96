"""The OpenAPI document: every path once, although it is served at the root and under `/api/v1/`."""

from typing import Any

API_PREFIX = "/api/v1/"


def root_paths_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(API_PREFIX)]
