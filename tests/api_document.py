"""The OpenAPI document, for tests that compare something with it."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FILE = Path(__file__).parents[1] / "docs" / "openapi.yaml"
IDENTIFIER = "urn:document"


@cache
def document() -> dict[str, Any]:
    return dict(yaml.load(FILE.read_text(), yaml.CSafeLoader))


@cache
def _registry() -> "Registry[Any]":
    return Registry().with_resource(IDENTIFIER, DRAFT202012.create_resource(document()))


def schema_errors(schema: Any, value: Any) -> list[str]:
    """Return how the value differs from a schema of the document."""
    local = {"$id": "urn:local", "allOf": [_absolute(schema)]}
    return [error.message for error in Draft202012Validator(local, registry=_registry()).iter_errors(value)]


def _absolute(schema: Any) -> Any:
    """Return the schema with references into the document."""
    if isinstance(schema, dict):
        return {
            key: f"{IDENTIFIER}{value}" if key == "$ref" else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def find_call(method: str, path: str) -> dict[str, Any]:
    """Return the call of the document that a request reaches; the path with the fewest parameters wins."""
    templates = [
        template
        for template in document()["paths"]
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
    ]
    assert templates, f"the document has no path {path}"
    template = min(templates, key=lambda found: found.count("{"))
    methods = document()["paths"][template]
    assert method.lower() in methods, f"the document has no {method} {template}"
    return dict(methods[method.lower()])
