"""The OpenAPI document on its own: its examples are valid, and bodies are JSON except for files."""

from collections.abc import Iterator
from typing import Any

from tests.api_document import document, schema_errors

WITH_FILES = {
    ("post", "/market-data"),
    ("post", "/market-data/preview"),
    ("post", "/uploads"),
    ("put", "/artifacts/{sha256}"),
}


def calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, call in methods.items():
            yield method, path, call


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the media type of each body, response and shared response."""
    for method, path, call in calls():
        bodies = {"body": call.get("requestBody", {}), **call["responses"]}
        for name, body in bodies.items():
            for content_type, media in body.get("content", {}).items():
                yield f"{method} {path} {name} {content_type}", media
    for name, response in document()["components"]["responses"].items():
        for media in response["content"].values():
            yield name, media


def test_each_example_is_valid() -> None:
    examples = [
        (f"{place}, {name}", example["value"], media["schema"])
        for place, media in contents()
        for name, example in media.get("examples", {}).items()
    ]
    assert len(examples) >= 10
    assert {place: schema_errors(schema, value) for place, value, schema in examples} == {
        place: [] for place, _, _ in examples
    }


def test_each_body_is_json_except_files() -> None:
    types = {
        (method, path): list(call["requestBody"]["content"])
        for method, path, call in calls()
        if "requestBody" in call
    }
    other = {call for call, content_types in types.items() if content_types != ["application/json"]}
    assert other == WITH_FILES
    preview = document()["paths"]["/market-data/preview"]["post"]["requestBody"]
    form = preview["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["format"] == "binary"
    assert "file" in form["required"]


def test_each_number_and_path_of_a_call_has_limits() -> None:
    for method, path, call in calls():
        for parameter in call.get("parameters", ()):
            schema = parameter["schema"]
            place = f"{method} {path} {parameter['name']}"
            if schema.get("type") == "integer" and parameter["in"] != "header":
                assert {"minimum", "maximum"} <= schema.keys(), place
            if parameter["in"] == "path":
                assert {"maxLength", "pattern", "maximum"} & schema.keys(), place


def test_each_call_has_an_identifier_that_programs_can_use() -> None:
    identifiers = [call["operationId"] for _, _, call in calls()]
    assert all(identifier.isidentifier() for identifier in identifiers), identifiers
    assert len(set(identifiers)) == len(identifiers)
    assert [server["url"] for server in document()["servers"]] == ["/", "/api/v1"]
