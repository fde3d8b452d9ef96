"""The generated page about every call of the API."""

from tests.api_document import document, schema_errors
from tools.api_calls import PAGE, Reference, render


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run make openapi"


def test_the_page_has_every_call_once_with_an_example() -> None:
    page = Reference(document()).render()
    calls = [
        f"### `{method.upper()} {path}`"
        for path, methods in document()["paths"].items()
        for method in methods
    ]
    assert sorted(line for line in page.splitlines() if line.startswith("### ")) == sorted(calls)
    assert page.count("```\napi ") == len(calls)


def test_each_example_of_a_body_is_valid() -> None:
    reference = Reference(document())
    for path, methods in document()["paths"].items():
        for method, call in methods.items():
            media = call.get("requestBody", {}).get("content", {}).get("application/json")
            if media is not None:
                example = reference.example(media)
                assert schema_errors(media["schema"], example) == [], f"{method} {path}: {example}"
