"""The API document is open to everybody, so it costs nothing to ask for it again, in whatever way."""

from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from ktrdr_site.web import schema_view

QUERIES = [
    "",
    "x=1",
    "version=2",
    f"version={quote(chr(13) + chr(10))}",
    "lang=de",
    "lang=%00",
    "format=json",
    "format=yaml",
]
ACCEPTED = ["", "*/*", "application/json", "application/yaml", "application/vnd.oai.openapi+json",
            "application/vnd.oai.openapi;x=1", "application/json; version=7", "text/html"]  # fmt: skip


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How often the document was made."""
    made: list[Any] = []
    make = SchemaGenerator.get_schema
    monkeypatch.setattr(schema_view, "_documents", {})
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *v, **n: made.append(v) or make(*v, **n))
    return made


def test_the_document_is_made_once_for_each_format(made: list[Any]) -> None:
    client = Client()
    statuses = {
        client.get(f"/schema/?{query}", headers={"Accept": accepted} if accepted else {}).status_code
        for query in QUERIES
        for accepted in ACCEPTED
    }
    assert statuses <= {200, 404, 406}
    assert 200 in statuses
    assert 0 < len(made) <= len(schema_view.SchemaView.renderer_classes)


def test_no_text_of_a_request_is_in_the_document(made: list[Any]) -> None:
    response = Client().get("/schema/?version=of-a-stranger&lang=of-a-stranger")
    assert response["Content-Disposition"] == 'inline; filename="KTRDR.yaml"'
    assert response["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert "of-a-stranger" not in response.content.decode()
    assert yaml.safe_load(response.content)["info"]["title"] == "KTRDR"
