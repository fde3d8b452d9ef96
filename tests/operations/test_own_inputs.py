"""Inputs of the types that workers announce: named in the request, or by parameters that the schema marks."""

from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from rest_framework.test import APIClient

from operations import artifacts, attempts, reports
from operations.actors import Actor
from operations.models import Artifact, MarketData, Operation
from operations.states import Status
from tests.claiming import claim_next
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from worker_agent.inputs import ArtifactOf, Bars
from worker_agent.protocol import Outcome, Report
from worker_agent.schema_keywords import INPUT_MARK

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
ME = Actor("user:test")
DAY = datetime(2024, 1, 2, tzinfo=UTC)


class Marked(BaseModel):
    symbol: Annotated[str, Bars("1d")] = "AAPL"
    model: Annotated[str, ArtifactOf("model/net.bin")] | None = None
    text: str = ""


@pytest.fixture
def bars() -> str:
    file = artifacts.put([b"bars"])
    MarketData.objects.create(
        symbol="AAPL", timeframe="1d", file=file, rows=1, start=DAY, end=DAY, quality={}
    )
    return file.sha256


def run(operation_id: str, outputs: dict[str, bytes]) -> dict[str, str]:
    """Claim the operation, complete it with these artifacts, and return the inputs that its worker got."""
    WorkerFactory()
    claim = claim_next(ME)
    assert claim is not None
    assert claim.operation_id == operation_id
    attempts.accept(operation_id, 1, ME)
    files = {name: artifacts.put([content]) for name, content in outputs.items()}
    report = Report(
        attempt=1,
        instance_id="any",
        outcome=Outcome.COMPLETED,
        result={},
        artifacts=[{"name": name, "sha256": file.sha256, "size": file.size} for name, file in files.items()],
    )
    reports.apply(operation_id, claim.endpoint.worker_id, report)
    return {ref.name: ref.sha256 for ref in claim.request.inputs}


def submit(api: APIClient, **fields: Any) -> str:
    response = api.post("/operations", {"operation_type": "echo", **fields}, format="json")
    assert response.status_code == 202, response.json()
    return str(response.json()["operation_id"])


def refusal(api: APIClient, **fields: Any) -> list[dict[str, str]]:
    response = api.post("/operations", {"operation_type": "echo", **fields}, format="json")
    assert response.status_code == 422, response.json()
    assert not Operation.objects.filter(created_by__isnull=False).exists()
    errors: list[dict[str, str]] = response.json()["errors"]
    return errors


def test_bars_and_artifacts_reach_the_worker_under_the_names_of_the_request(
    api: APIClient, bars: str
) -> None:
    CapabilityFactory()
    first = submit(api, inputs={"prices.parquet": {"symbol": "AAPL", "timeframe": "1d"}})
    assert run(first, {"model/net.bin": b"weights"}) == {"prices.parquet": bars}
    second = submit(api, inputs={"net": {"operation": first, "artifact": "model/net.bin"}})
    assert run(second, {}) == {"net": artifacts.put([b"weights"]).sha256}


def test_an_artifact_of_an_operation_in_after_is_found_when_the_claim_is_made(api: APIClient) -> None:
    CapabilityFactory()
    first = submit(api)
    second = submit(api, after=[first], inputs={"net": {"operation": first, "artifact": "net.bin"}})
    assert not Artifact.objects.filter(operation=second).exists()
    run(first, {"net.bin": b"weights"})
    assert run(second, {}) == {"net": artifacts.put([b"weights"]).sha256}


def test_an_operation_whose_awaited_artifact_was_not_produced_fails_at_once(api: APIClient) -> None:
    CapabilityFactory()
    first = submit(api)
    second = submit(api, after=[first], inputs={"net": {"operation": first, "artifact": "net.bin"}})
    other = submit(api, after=[first])
    run(first, {"other.bin": b""})
    assert run(other, {}) == {}
    failed = Operation.objects.get(pk=second)
    assert failed.status == Status.FAILED
    assert failed.error_class == "invalid"
    assert failed.error_message == f"The operation {first} completed without the artifact net.bin."


def test_marked_parameters_name_inputs(api: APIClient, bars: str) -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    first = submit(api, parameters={"symbol": "AAPL"})
    assert run(first, {"model/net.bin": b"weights"}) == {"symbol": bars}
    second = submit(api, parameters={"symbol": "AAPL", "model": first})
    assert run(second, {}) == {"symbol": bars, "model": artifacts.put([b"weights"]).sha256}
    third = submit(api, parameters={"text": "AAPL", "model": None})
    assert run(third, {}) == {}


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ({"symbol": "IBM", "timeframe": "1d"}, "No market data for IBM."),
        ({"symbol": "AAPL", "timeframe": "1h"}, "AAPL has bars of 1d, but not of 1h."),
        ({"operation": "nobody", "artifact": "a"}, "Unknown operation nobody."),
        ({"operation": "pending", "artifact": "a"}, "is PENDING; add it to `after` to wait"),
        ({"operation": "failed", "artifact": "a"}, "is FAILED: it has no artifact to use"),
        ({"operation": "done", "artifact": "a"}, "The operation done has no artifact a."),
        ({"symbol": "AAPL"}, "needs symbol and timeframe, operation and artifact, or upload"),
        (
            {"symbol": "AAPL", "timeframe": None},
            "needs symbol and timeframe, operation and artifact, or upload",
        ),
        (
            {"operation": "done", "timeframe": "1d"},
            "needs symbol and timeframe, operation and artifact, or upload",
        ),
        ({}, "needs symbol and timeframe, operation and artifact, or upload"),
    ],
    ids=str,
)
def test_a_source_that_is_not_there_is_refused_with_its_place(
    api: APIClient, bars: str, source: dict[str, Any], detail: str
) -> None:
    CapabilityFactory()
    for name in ("pending", "failed", "done"):
        status = {"done": "COMPLETED"}.get(name, name.upper())
        ended = {} if name == "pending" else {"completed_at": DAY}
        error = {"error_class": "job", "error_message": "it broke"} if name == "failed" else {}
        OperationFactory(pk=name, status=status, **ended, **error)
    (error,) = refusal(api, inputs={"file": source})
    assert error["pointer"] == "/inputs/file"
    assert detail in error["detail"]


@pytest.mark.parametrize("symbol", ["IBM", "no symbol", "", "../x", "a" * 200])
def test_a_marked_parameter_is_refused_at_its_own_place(api: APIClient, symbol: str) -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    (error,) = refusal(api, parameters={"symbol": symbol})
    assert error["pointer"] == "/parameters/symbol"
    assert len(error["detail"]) < 300


@pytest.mark.parametrize("name", ["a b", "../x", "", "a/../b", "x" * 201])
def test_a_name_that_no_file_can_have_is_refused(api: APIClient, bars: str, name: str) -> None:
    CapabilityFactory()
    (error,) = refusal(api, inputs={name: {"symbol": "AAPL", "timeframe": "1d"}})
    assert error["pointer"].startswith("/inputs")


@pytest.mark.parametrize(
    "mark", [5, [], "1d", {"timeframe": 5}, {"timeframe": "1d", "symbol": "IBM"}, {}, {"x": 1}], ids=str
)
def test_a_mark_that_means_nothing_refuses_the_parameter_and_breaks_nothing(
    api: APIClient, bars: str, mark: Any
) -> None:
    CapabilityFactory(parameters_schema={"type": "object", "properties": {"symbol": {INPUT_MARK: mark}}})
    response = api.post("/operations", {"operation_type": "echo", "parameters": {"symbol": "AAPL"}})
    assert response.status_code in (202, 422)


def test_kinds_of_the_product_choose_their_own_inputs(api: APIClient, bars: str) -> None:
    source = {"symbol": "AAPL", "timeframe": "1d"}
    response = api.post("/operations", {"operation_type": "training", "inputs": {"x": source}}, format="json")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/inputs"
