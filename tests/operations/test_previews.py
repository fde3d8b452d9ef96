"""`POST /market-data/preview`: an operation on an idle worker, whose result is the response."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from operations.kinds.data_preview import api as preview_api
from operations.models import Artifact, Operation, StoredFile
from operations.stores.local_disk import path_of
from tests.factories import WorkerFactory
from tests.operations.preview_reports import report_while_waiting
from worker_agent.protocol import Outcome

pytestmark = pytest.mark.django_db
CONTENT = b"Date,Open,High,Low,Close\n2024-01-02,1,1,1,1\n"
ANNOUNCED = ["data_preview", "data_import"]
RESULT = {"valid": True, "symbol": "AAPL", "timeframe": "1d", "warnings": [], "first": [], "last": []}


def form(**fields: Any) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("aapl.csv", CONTENT), "symbol": "AAPL", "timeframe": "1d", **fields}


def test_the_result_of_the_worker_is_the_response_and_nothing_is_stored(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    response = api.post("/market-data/preview", form(stamped="close", decimal="comma"), format="multipart")
    assert response.status_code == 200
    operation = Operation.objects.get()
    assert response.json() == {**{k: v for k, v in RESULT.items() if k != "valid"}, "preview": operation.pk}
    assert operation.parameters["stamped"] == "close"
    assert operation.parameters["decimal"] == ","
    assert api.get("/market-data").json()["results"] == []


def test_an_import_can_name_the_preview_in_place_of_the_file(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    preview = api.post("/market-data/preview", form(), format="multipart").json()["preview"]
    fields = {"symbol": "AAPL", "timeframe": "1d", "timezone": "UTC", "preview": preview}
    for format_ in ("multipart", "json"):
        response = api.post("/market-data", fields, format=format_)
        assert response.status_code == 202
        operation = Operation.objects.get(pk=response.json()["operation_id"])
        raw = operation.artifacts.get(role=Artifact.Role.INPUT, name="raw")
        assert path_of(raw.file_id).read_bytes() == CONTENT
        assert operation.parameters["filename"] == "aapl.csv"
    assert StoredFile.objects.count() == 1


def test_a_preview_of_somebody_else_is_not_found(
    api: APIClient, staff_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    preview = api.post("/market-data/preview", form(), format="multipart").json()["preview"]
    for name in (preview, "unknown", "\0"):
        response = staff_api.post(
            "/market-data", {"symbol": "AAPL", "timeframe": "1d", "preview": name}, format="json"
        )
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == "/preview"


@pytest.mark.parametrize(("option", "pointer"), [("timezone", "/timezone"), (None, "/file")])
def test_a_refused_file_has_the_option_as_its_pointer(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, option: str | None, pointer: str
) -> None:
    refusal = {"valid": False, "error": "several zones fit: set timezone", "option": option}
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=refusal)
    response = api.post("/market-data/preview", form(), format="multipart")
    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": pointer, "detail": "several zones fit: set timezone"}]
    assert response.json()["preview"] == Operation.objects.get().pk


def test_without_an_idle_worker_nothing_is_stored(api: APIClient) -> None:
    response = api.post("/market-data/preview", form(), format="multipart")
    assert response.status_code == 503
    assert not Operation.objects.exists()


def test_a_preview_that_takes_long_is_answered_with_its_operation(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    WorkerFactory(worker_type="backtesting", announced=["data_preview"])
    monkeypatch.setattr(preview_api, "LIMIT_S", 0.0)
    response = api.post("/market-data/preview", form(), format="multipart")
    assert response.status_code == 202
    assert response.json()["operation_id"] == Operation.objects.get().pk


def test_a_failed_preview_is_unavailable(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"class": "job", "message": "it broke"}
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.FAILED, error=error)
    response = api.post("/market-data/preview", form(), format="multipart")
    assert response.status_code == 503
    assert "it broke" in response.json()["detail"]


def test_a_preview_has_no_generic_submission(api: APIClient) -> None:
    response = api.post("/operations", {"operation_type": "data_preview", "parameters": {}}, format="json")
    assert response.status_code == 422
