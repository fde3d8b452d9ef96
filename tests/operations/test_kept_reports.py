"""A report that a worker kept can harm only its own operation, never the registration that repeats it."""

from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from operations import interruptions, reports
from operations.actors import Actor
from operations.models import Operation
from registry import address_checks
from registry.models import Worker
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


@pytest.fixture
def enrol(settings: Any) -> APIClient:
    settings.WORKER_TOKEN = "the-enrolment-token"
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer the-enrolment-token")
    return client


@pytest.fixture(autouse=True)
def _verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing serves the addresses of these workers."""
    monkeypatch.setattr(address_checks, "find_problem", lambda *_: "")


@pytest.fixture
def running() -> Operation:
    WorkerFactory(worker_id="w1", instance_id="old", endpoint_url="http://127.0.0.1:2")
    operation = OperationFactory()
    start_next(ME)
    return operation


def register(client: APIClient, kept: list[Any], worker_id: str = "w1") -> Any:
    message = {
        "worker_id": worker_id,
        "worker_type": "echo",
        "endpoint_url": "http://127.0.0.1:2",
        "instance_id": "new",
        "completed_operations": kept,
    }
    answer = client.post("/workers/register", message, format="json")
    assert answer.status_code == 200, answer.content
    assert Worker.objects.get(pk=worker_id).instance_id == "new"
    return answer


def test_a_report_that_waits_for_its_files_is_kept_although_an_earlier_attempt_is_settled(
    enrol: APIClient, running: Operation
) -> None:
    interruptions.mark_lost(running.pk, 1, ME, "gone")
    Operation.objects.update(not_before=None)
    Worker.objects.update(last_healthy_at=Now())
    start_next(ME)
    missing = {"name": "model", "sha256": "ab" * 32, "size": 1}
    second = report_of(attempt=2, artifacts=[missing])
    answer = register(
        enrol,
        [
            {"operation_id": running.pk, "report": report_of()},
            {"operation_id": running.pk, "report": second},
        ],
    )
    assert answer.data["acknowledged"] == [], "the worker would forget both"
    running.refresh_from_db()
    assert (running.status, running.attempt) == ("RUNNING", 2)


def report_of(**changes: Any) -> dict[str, Any]:
    return {"attempt": 1, "instance_id": "old", "outcome": "completed", "result": {"a": 1}, **changes}


UNREADABLE = [
    {"outcome": "exploded"},
    {"result": {"a": "\x00"}},
    {"result": {"a": 2**70}},
    {"result": [1]},
    {"result": {"x": "y" * 1_000_001}},
    {"error": {"class": "job"}, "outcome": "failed"},
    {"artifacts": [{"name": "../x", "sha256": "no", "size": -1}]},
    {"metrics": [{"seq": 0}]},
    {"instance_id": ""},
    {"outcome": "failed"},
]


@pytest.mark.parametrize("changes", UNREADABLE)
def test_an_unreadable_report_fails_its_operation(
    enrol: APIClient, running: Operation, changes: dict[str, Any]
) -> None:
    answer = register(enrol, [{"operation_id": running.pk, "report": report_of(**changes)}])
    assert answer.data["acknowledged"] == (running.pk,) or answer.data["acknowledged"] == [running.pk]
    running.refresh_from_db()
    assert (running.status, running.error_class) == ("FAILED", "job")
    assert running.error_message.startswith("The worker's report is not valid: /report")
    assert len(running.error_message) < 400
    assert answer.data["status"] == "AVAILABLE"


def test_the_others_of_its_registration_are_applied(enrol: APIClient, running: Operation) -> None:
    kept = [
        {"operation_id": "unknown", "report": report_of(outcome="exploded")},
        {"operation_id": "unknown", "report": report_of()},
        {"operation_id": running.pk, "report": report_of()},
        {"operation_id": 7, "report": None},
        None,
    ]
    answer = register(enrol, kept)
    assert set(answer.data["acknowledged"]) == {"unknown", running.pk}
    running.refresh_from_db()
    assert (running.status, running.result) == ("COMPLETED", {"a": 1})


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"attempt": 1}])
def test_nobody_fails_an_attempt_that_is_not_theirs(
    enrol: APIClient, running: Operation, changes: dict[str, Any]
) -> None:
    kept = [{"operation_id": running.pk, "report": report_of(outcome="exploded", **changes)}]
    register(enrol, kept, worker_id="another")
    running.refresh_from_db()
    assert running.status == "RUNNING"


def test_a_report_whose_application_raises_sets_its_operation_aside(
    enrol: APIClient, running: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(reports, "apply", fail)
    answer = register(enrol, [{"operation_id": running.pk, "report": report_of()}])
    assert list(answer.data["acknowledged"]) == []
    assert answer.data["status"] == "BUSY"
    running.refresh_from_db()
    assert (running.status, running.setbacks) == ("RUNNING", 1)


def test_such_a_report_of_somebody_elses_operation_does_not(
    enrol: APIClient, running: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(reports, "apply", fail)
    register(enrol, [{"operation_id": running.pk, "report": report_of()}], worker_id="another")
    running.refresh_from_db()
    assert (running.status, running.setbacks) == ("RUNNING", 0)
