"""The API of files: artifacts, uploads, imports and market data."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from operations import artifacts, interventions, reports
from operations.models import Artifact, MarketData, Operation
from operations.stores.local_disk import path_of
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_api import ME, complete
from worker_agent.protocol import Outcome, Report

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]


def test_files_are_listed_and_sent_as_downloads(api: APIClient) -> None:
    operation = complete()
    (listed,) = api.get(f"/operations/{operation.pk}/artifacts").json()["results"]
    answer = api.get(f"/operations/{operation.pk}/artifacts/report.json")
    assert b"".join(answer.streaming_content) == b'{"rows": 3}'
    assert answer["ETag"] == f'"{listed["sha256"]}"'
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    for close in answer._resource_closers:  # `answer.close()` would end the test's own connection as well
        close()
    assert api.get(f"/operations/{operation.pk}/artifacts/nothing").status_code == 404
    path_of(listed["sha256"]).unlink()
    assert api.get(f"/operations/{operation.pk}/artifacts/report.json").status_code == 404


def test_an_upload_is_stored_and_its_import_submitted(api: APIClient) -> None:
    upload = SimpleUploadedFile("aapl.csv", b"Date,Close\n2020-01-01,1\n", content_type="text/csv")
    form = {"file": upload, "symbol": "AAPL", "timeframe": "1d", "adjust": "true", "timezone": ""}
    answer = api.post("/market-data", form, format="multipart")
    assert answer.status_code == 202
    operation = Operation.objects.get(pk=answer.json()["operation_id"])
    assert operation.operation_type == "data_import"
    assert operation.parameters == {
        "symbol": "AAPL",
        "timeframe": "1d",
        "adjust": True,
        "filename": "aapl.csv",
    }
    raw = operation.artifacts.get(role=Artifact.Role.INPUT, name="raw")
    assert path_of(raw.file_id).read_bytes() == b"Date,Close\n2020-01-01,1\n"


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"symbol": "AAPL", "timeframe": "1d"}, "/file"),
        ({"file": "text", "symbol": "AAPL", "timeframe": "1d"}, "/file"),
        ({"symbol": "../x", "timeframe": "1d"}, "/symbol"),
        ({"symbol": "AAPL", "timeframe": "3w"}, "/timeframe"),
        ({"symbol": "AAPL", "timeframe": "1d", "adjust": "perhaps"}, "/adjust"),
    ],
    ids=str,
)
def test_a_broken_import_form_is_refused(api: APIClient, form: Any, pointer: str) -> None:
    if pointer != "/file":
        form = {**form, "file": SimpleUploadedFile("x.csv", b"1")}
    answer = api.post("/market-data", form, format="multipart")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def import_bars(symbol: str = "AAPL") -> MarketData:
    operation = OperationFactory(
        operation_type="data_import", parameters={"symbol": symbol, "timeframe": "1d", "filename": "x.csv"}
    )
    worker = WorkerFactory(worker_type="backtesting", announced=["data_import"])
    claim_next(ME)
    file = artifacts.put([symbol.encode()])
    result = {
        "symbol": symbol,
        "timeframe": "1d",
        "rows": 2,
        "start": "2000-01-03T00:00Z",
        "end": "2013-01-02T00:00Z",
    }
    report = Report(
        attempt=1,
        instance_id="any",
        outcome=Outcome.COMPLETED,
        result={**result, "quality": {"gaps": 0}},
        artifacts=[{"name": "bars.parquet", "sha256": file.sha256, "size": file.size}],
    )
    reports.apply(operation.pk, worker.worker_id, report)
    return MarketData.objects.get(symbol=symbol)


def test_a_completed_import_is_listed_and_can_be_removed_unless_it_is_in_use(
    api: APIClient, staff_api: APIClient
) -> None:
    row = import_bars()
    (shown,) = api.get("/market-data").json()["results"]
    assert (shown["symbol"], shown["rows"], shown["start"]) == ("AAPL", 2, "2000-01-03T00:00:00Z")
    reader = OperationFactory()
    Artifact.objects.create(operation=reader, role="input", name="bars/AAPL/1d.parquet", file=row.file)
    assert staff_api.delete("/market-data/AAPL/1d").status_code == 409
    interventions.cancel(reader.pk, ME)
    assert staff_api.delete("/market-data/AAPL/1d").status_code == 204
    assert staff_api.delete("/market-data/AAPL/1d").status_code == 404
