"""Requests are bounded: refused with 413 and a sentence before they fill a disk or the memory."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from operations import artifacts, received_files
from operations.api import workers as api_workers
from operations.models import Operation, StoredFile
from registry.auth import worker_token
from tests.access.callers import bearer, member
from tests.factories import WorkerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(member("operator"))
    return client


def test_a_market_data_file_that_is_too_large_is_refused_and_nothing_is_kept(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(received_files, "MAX_FILE_BYTES", 10)
    file = SimpleUploadedFile("a.csv", b"x" * 11)
    answer = operator.post("/market-data", {"file": file, "symbol": "A", "timeframe": "1d"})
    assert answer.status_code == 413
    assert answer.json()["detail"] == "A file may have at most 10 bytes."
    assert not StoredFile.objects.exists()
    assert not Operation.objects.exists()


def test_a_report_that_is_too_long_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WorkerFactory()
    monkeypatch.setattr(api_workers, "MAX_MESSAGE", 10)
    client = bearer(worker_token(worker.pk, worker.instance_id))
    answer = client.post("/operations/any/report", b"x" * 11, content_type="application/json")
    assert answer.status_code == 413


def test_a_body_of_json_that_is_too_long_is_refused(operator: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = {"strategy_yaml": "x" * 2000}
    answer = operator.post("/training/start", body, content_type="application/json")
    assert answer.status_code == 413
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "A body may have at most 1000 bytes."
    assert not Operation.objects.exists()


def test_a_file_whose_content_is_not_what_its_name_says_is_not_kept() -> None:
    with pytest.raises(artifacts.Corrupt):
        artifacts.put([b"another"], expected="0" * 64)
    assert not StoredFile.objects.exists()
