"""Whatever a worker reports or a person submits is stored or refused with its place: never a 500, never half."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations import interventions
from operations.actors import SYSTEM
from operations.models import Operation
from registry.auth import worker_token
from registry.models import Worker
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
WIDE = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=12)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.integers(2**62, 2**70), st.floats(), ANY_TEXT,
        st.sampled_from(["\x00", "\udc80", 2**63, -(2**63) - 1, 10**400, float("inf")]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ANY_TEXT, inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture
def running() -> Operation:
    WorkerFactory(worker_id="w", instance_id="i")
    operation = OperationFactory()
    assert claim_next(SYSTEM) is not None
    operation.refresh_from_db()
    return operation


def post_report(operation: Operation, **fields: Any) -> Any:
    worker = Worker.objects.get(pk="w")
    report = {"attempt": 1, "instance_id": "i", "outcome": "completed", **fields}
    client = Client(headers={"Authorization": f"Bearer {worker_token('w', worker.instance_id)}"})
    return client.post(
        f"/operations/{operation.pk}/report", json.dumps(report), content_type="application/json"
    )


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {"result": {"a": {"b": "x\x00"}}},
        {"result": {"k\x00": 1}},
        {"result": {"a": "\udc80"}},
        {"result": {"a": 2**63}},
        {"result": {"a": 10**400}},
        {"result": {"a": float("nan")}},
        {"result": {"a": nest(100)}},
        {"result": {"a": nest(900)}},
        {"result": {"a": "x" * 1_100_000}},
        {"outcome": "failed", "error": {"class": "job", "message": "a\x00"}},
        {"outcome": "failed", "error": {"class": "job", "message": "a", "traceback": "\x00"}},
        {"progress": {"percentage": 1, "current_step": "\x00"}},
        {"progress": {"percentage": 1, "steps_completed": 2**63}},
        {"metrics": [{"seq": 1, "name": "\x00", "step": 1, "value": 1, "time": "2020-01-01T00:00:00Z"}]},
        {"metrics": [{"seq": 1, "name": "a", "step": 2**63, "value": 1, "time": "2020-01-01T00:00:00Z"}]},
        {"metrics": [{"seq": 2**70, "name": "a", "step": 1, "value": 1, "time": "2020-01-01T00:00:00Z"}]},
        {"logs": [{"seq": 1, "level": "info", "message": "\x00", "time": "2020-01-01T00:00:00Z"}]},
        {"artifacts": [{"name": "a b", "sha256": "0" * 64, "size": 1}]},
        {"artifacts": [{"name": "a", "sha256": "0" * 64, "size": 2**63}]},
        {"attempt": 2**40},
    ],
)
def test_a_report_with_what_cannot_be_stored_is_refused_and_changes_nothing(
    running: Operation, fields: dict[str, Any]
) -> None:
    response = post_report(running, **fields)
    assert response.status_code in (400, 422), response.content[:300]
    assert len(response.json()["detail"]) < 400
    running.refresh_from_db()
    assert running.status == "DISPATCHING"
    assert post_report(running, result={"answer": 42}).status_code == 200
    running.refresh_from_db()
    assert (running.status, running.result) == ("COMPLETED", {"answer": 42})


def test_a_refusal_names_the_place(running: Operation) -> None:
    problem = post_report(running, result={"a": {"b": ["x", "y\x00"]}}).json()
    assert problem["errors"][0]["pointer"] == "/result"
    assert "/a/b/1 contains the character \\x00" in problem["errors"][0]["detail"]


@WIDE
@given(
    st.dictionaries(
        st.sampled_from(["result", "error", "progress", "metrics", "logs", "artifacts", "attempt"]), JSON
    )
)
def test_no_report_is_answered_by_a_500(running: Operation, fields: dict[str, Any]) -> None:
    assert post_report(running, **fields).status_code in (200, 400, 409, 422)


@WIDE
@given(
    st.dictionaries(ANY_TEXT, JSON, max_size=3),
    st.dictionaries(st.sampled_from(["gpu", "memory_gb", "x"]), JSON),
)
def test_no_submission_is_answered_by_a_500(
    admin_client: Client, parameters: dict[str, Any], requirements: dict[str, Any]
) -> None:
    WorkerFactory()
    body = {"operation_type": "echo", "parameters": parameters, "requirements": requirements}
    response = admin_client.post("/operations", json.dumps(body), content_type="application/json")
    assert response.status_code in (202, 400, 422), response.content[:300]


@pytest.mark.parametrize(
    "requirements",
    [{"memory_gb": 10**400}, {"memory_gb": 2**63}, {"zone": "x" * 600}, {"zone": "\x00"}, {"zone": "\udc80"}],
)
def test_requirements_are_bounded(admin_client: Client, requirements: dict[str, Any]) -> None:
    WorkerFactory()
    body = {"operation_type": "echo", "requirements": requirements}
    response = admin_client.post("/operations", json.dumps(body), content_type="application/json")
    assert response.status_code == 422, response.content[:300]
    assert response.json()["errors"][0]["pointer"].startswith("/requirements")


REGISTRATION = {
    "worker_id": "new",
    "worker_type": "echo",
    "endpoint_url": "http://127.0.0.1:1",
    "instance_id": "i",
    "capabilities": {"gpu": True},
    "operation_types": [{"operation_type": "echo", "start_path": "/echo/start", "parameters_schema": {}}],
    "current_operation": None,
    "completed_operations": [],
    "version": "1",
    "protocol_version": 1,
}
IN_PARTS = st.one_of(
    st.builds(lambda value: {"capabilities": value}, st.dictionaries(ANY_TEXT, JSON, max_size=3)),
    st.builds(
        lambda value: {
            "operation_types": [{**REGISTRATION["operation_types"][0], "parameters_schema": value}]
        },
        st.dictionaries(st.sampled_from(["type", "properties", "$ref", "pattern"]), JSON, max_size=2),
    ),
    st.builds(
        lambda value: {"completed_operations": [{"operation_id": "x", "report": value}, value]},
        st.dictionaries(st.sampled_from(["attempt", "outcome", "result", "instance_id"]), JSON),
    ),
    st.dictionaries(st.sampled_from(sorted(REGISTRATION)), JSON, max_size=3),
)


@WIDE
@given(IN_PARTS)
def test_no_registration_is_answered_by_a_500_and_the_queue_goes_on(
    settings: Any, changes: dict[str, Any]
) -> None:
    settings.WORKER_TOKEN = "the-enrolment-token"
    client = Client(headers={"Authorization": "Bearer the-enrolment-token"})
    body = json.dumps({**REGISTRATION, **changes})
    response = client.post("/workers/register", body, content_type="application/json")
    assert response.status_code in (200, 400, 409, 422), response.content[:300]
    Worker.objects.update(status="AVAILABLE", unavailable_since=None)
    WorkerFactory()
    operation = OperationFactory()
    assert (claim := claim_next(SYSTEM)) is not None
    assert claim.operation_id == operation.pk
    interventions.cancel(operation.pk, SYSTEM)
    Operation.objects.all().delete()
    Worker.objects.all().delete()
