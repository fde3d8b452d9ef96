"""Whole pages are sent compressed to those who accept it; nothing else is."""

import gzip
from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
ACCEPTS = {"accept-encoding": "gzip, deflate, br"}


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def test_a_page_is_compressed_and_its_length_does_not_repeat(browser: Client) -> None:
    plain = browser.get("/dashboard/runs")
    assert "Content-Encoding" not in plain.headers
    packed = [browser.get("/dashboard/runs", headers=ACCEPTS) for _ in range(12)]
    for response in packed:
        assert response.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in response.headers["Vary"]
        assert int(response.headers["Content-Length"]) == len(response.content) < len(plain.content) / 2
        assert b"<h1>Runs</h1>" in gzip.decompress(response.content)
    assert len({len(response.content) for response in packed}) > 3


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/dashboard/", {"hx-request": "true"}),
        ("/dashboard/runs.csv", {}),
        ("/api/v1/operations", {}),
        ("/api/v1/workers", {}),
        ("/health", {}),
    ],
)
def test_parts_files_and_data_are_not_compressed(
    browser: Client, address: str, headers: dict[str, str]
) -> None:
    response = browser.get(address, headers={**ACCEPTS, **headers})
    assert response.status_code == 200
    assert "Content-Encoding" not in response.headers
