"""Stored files are sent whole, by ranges, or not at all where the browser has them."""

import os
from typing import Any

import pytest
from django.test import Client, RequestFactory
from rest_framework.request import Request

from operations import artifacts
from operations.api.stored_responses import file_response
from operations.models import Artifact
from tests.factories import OperationFactory

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def address(staff: Any, client: Client) -> str:
    client.force_login(staff)
    operation = OperationFactory()
    Artifact.objects.create(
        operation=operation, role="output", name="chart.bin", file=artifacts.put([CONTENT])
    )
    return f"/operations/{operation.pk}/artifacts/chart.bin"


@pytest.mark.parametrize(
    ("byte_range", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-70000", 100, 70001),
        ("bytes=255990-", 255990, 256000),
        ("bytes=255990-999999", 255990, 256000),
    ],
)
def test_a_range_is_answered_with_its_bytes(
    client: Client, address: str, byte_range: str, first: int, end: int
) -> None:
    response = client.get(address, headers={"range": byte_range})
    assert response.status_code == 206
    assert response.getvalue() == CONTENT[first:end]
    assert response["Content-Range"] == f"bytes {first}-{end - 1}/256000"
    assert response["Content-Length"] == str(end - first)


def test_the_server_sends_a_range_from_the_descriptor(db: None) -> None:
    file = artifacts.put([CONTENT])
    request = Request(RequestFactory().get("/", headers={"range": "bytes=100-70000"}))
    response: Any = file_response(file.sha256, "chart.bin", request)
    assert os.lseek(response.file_to_stream.fileno(), 0, os.SEEK_CUR) == 100
    response.close()


@pytest.mark.parametrize(
    "byte_range", ["bytes=5-2", "bytes=-5", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b", ""]
)
def test_other_forms_of_a_range_get_the_whole_file(client: Client, address: str, byte_range: str) -> None:
    response = client.get(address, headers={"range": byte_range})
    assert response.status_code == 200
    assert response.getvalue() == CONTENT


def test_a_range_after_the_end_is_refused(client: Client, address: str) -> None:
    response = client.get(address, headers={"range": "bytes=256000-"})
    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */256000"


def test_a_known_file_is_not_sent_again_and_a_changed_one_is_sent_whole(client: Client, address: str) -> None:
    whole = client.get(address)
    etag, _ = whole["ETag"], whole.getvalue()
    unchanged = client.get(address, headers={"if-none-match": etag, "range": "bytes=0-9"})
    assert (unchanged.status_code, unchanged["Cache-Control"]) == (304, "private, no-cache")
    part = client.get(address, headers={"if-range": etag, "range": "bytes=0-9"})
    assert part.getvalue() == CONTENT[:10]
    changed = client.get(address, headers={"if-range": '"other"', "range": "bytes=0-9"})
    assert (changed.status_code, changed.getvalue()) == (200, CONTENT)
