"""An attempt belongs to whoever got its start: all others may have any name, token and incarnation, and change nothing."""

import hashlib
import itertools
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from operations import attempt_secrets, attempts, interruptions, interventions
from operations.actors import Actor
from operations.dispatching import claims, follow_ups
from operations.dispatching.claims import Claim
from operations.models import Artifact, Attempt, Operation, StoredFile
from registry import address_checks
from registry.auth import worker_token
from registry.models import Worker
from tests.claiming import claim_next, start_next
from tests.factories import OperationFactory, WorkerFactory
from worker_agent.protocol import Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
CONTENT = b"content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def claim() -> Claim:
    WorkerFactory(worker_id="w1", instance_id="one", endpoint_url="http://127.0.0.1:2", protocol_version=2)
    OperationFactory()
    return start_next(ME)


def worker(instance_id: str = "one") -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {worker_token('w1', instance_id)}")
    return client


def forged_secrets(claim: Claim) -> list[str]:
    """Guesses, and secrets of everything beside this attempt."""
    own = Attempt(operation_id=claim.operation_id, number=1, worker_id="w1")
    beside = [
        Attempt(operation_id=operation_id, number=number, worker_id=worker_id)
        for operation_id, number, worker_id in itertools.product(
            (claim.operation_id, "other"), (1, 2, 11), ("w1", "w2", "")
        )
        if (operation_id, number, worker_id) != (own.operation_id, own.number, own.worker_id)
    ]
    secret = claim.request.attempt_secret
    return ["", "x", secret[:-1], secret + "x", secret.swapcase(), *map(attempt_secrets.secret_of, beside)]


def report(secret: str, **changes: Any) -> dict[str, Any]:
    message = {"attempt": 1, "instance_id": "one", "outcome": "completed", "result": {"profit": 1}}
    return {**message, "attempt_secret": secret, **changes}


def kept(claim: Claim, secret: str, **changes: Any) -> list[dict[str, Any]]:
    return [{"operation_id": claim.operation_id, "report": report(secret, **changes)}]


def test_a_start_carries_a_secret_that_the_database_does_not_have(claim: Claim) -> None:
    secret = claim.request.attempt_secret
    assert len(secret) == 43
    assert claim.endpoint.must_prove
    for model in (Attempt, Operation, Worker):
        assert secret not in str(list(model.objects.values()))
    assert secret not in repr(claim.request), "requests may be logged"


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled", "interrupted"])
def test_a_report_without_the_secret_ends_nothing(claim: Claim, outcome: str) -> None:
    error = {"class": "job", "message": "no"}
    for secret in forged_secrets(claim):
        message = report(secret, outcome=outcome, error=error)
        refused = worker().post(f"/operations/{claim.operation_id}/report", message, format="json")
        assert refused.status_code == 409
    operation = Operation.objects.get()
    assert operation.status == "RUNNING"
    reason = operation.events.filter(kind="refused_report").latest("pk").reason
    assert reason.startswith("unproven: ")
    message = report(claim.request.attempt_secret, outcome=outcome, error=error)
    accepted = worker().post(f"/operations/{claim.operation_id}/report", message, format="json")
    assert accepted.status_code == 200, accepted.content


def test_a_repeated_report_needs_the_secret_again(claim: Claim) -> None:
    path = f"/operations/{claim.operation_id}/report"
    assert worker().post(path, report(claim.request.attempt_secret), format="json").status_code == 200
    assert worker().post(path, report(""), format="json").status_code == 409
    again = worker().post(path, report(claim.request.attempt_secret), format="json")
    assert again.data == {"status": "repeated"}


def test_a_checkpoint_and_files_need_the_secret(claim: Claim) -> None:
    StoredFile.objects.create(sha256=SHA256, size=len(CONTENT))
    Artifact.objects.create(operation_id=claim.operation_id, role="input", name="bars", file_id=SHA256)
    step = {"attempt": 1, "instance_id": "one", "step": 3}
    step["files"] = [{"name": "state", "sha256": SHA256, "size": len(CONTENT)}]
    for secret in forged_secrets(claim):
        headers = {"Ktrdr-Attempt-Secret": secret}
        answers = (
            worker().put(f"/artifacts/{SHA256}", CONTENT, content_type="application/x", headers=headers),
            worker().get(f"/artifacts/{SHA256}", headers=headers),
            worker().post(
                f"/operations/{claim.operation_id}/checkpoints",
                {**step, "attempt_secret": secret},
                format="json",
            ),
        )
        assert [answer.status_code for answer in answers] == [403, 403, 409], secret
    assert not Operation.objects.get().checkpoints.exists()
    headers = {"Ktrdr-Attempt-Secret": claim.request.attempt_secret}
    stored = worker().put(f"/artifacts/{SHA256}", CONTENT, content_type="application/x", headers=headers)
    assert stored.status_code == 201


@pytest.fixture
def enrol(settings: Any, monkeypatch: pytest.MonkeyPatch) -> APIClient:
    """A registration whose address is fine: the attacker's own."""
    settings.WORKER_TOKEN = "the-enrolment-token"
    monkeypatch.setattr(address_checks, "find_problem", lambda *_: "")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer the-enrolment-token")
    return client


def register_as_w1(client: APIClient, **changes: Any) -> Any:
    message = {
        "worker_id": "w1",
        "worker_type": "echo",
        "endpoint_url": "http://127.0.0.1:2",
        "instance_id": "attacker",
        "operation_types": [],
        **changes,
    }
    return client.post("/workers/register", message, format="json")


@pytest.mark.parametrize("protocol_version", [1, 2, 3])
def test_whoever_takes_a_dead_workers_name_ends_none_of_its_operations(
    enrol: APIClient, claim: Claim, protocol_version: int
) -> None:
    """Not even by the older protocol: the attempt was started with a secret. It is lost, and runs again elsewhere."""
    forged = [kept(claim, secret)[0] for secret in forged_secrets(claim)]
    unreadable = kept(claim, "", outcome="exploded")
    answer = register_as_w1(
        enrol, completed_operations=[*forged, *unreadable], protocol_version=protocol_version
    )
    assert answer.status_code == 200
    operation = Operation.objects.get()
    assert (operation.status, operation.result) == ("PENDING", None)
    assert operation.attempts.get().outcome == "lost"


def test_whoever_claims_to_run_the_attempt_must_know_its_secret(enrol: APIClient, claim: Claim) -> None:
    running = {"operation_id": claim.operation_id, "attempt": 1}
    secret = claim.request.attempt_secret
    accepted = register_as_w1(enrol, current_operation=running, attempt_secret=secret)
    assert accepted.data["stop_operations"] == []
    assert Attempt.objects.get().instance_id == "attacker", "knows the secret: it is the same machine"
    token = accepted.data["worker_token"]
    answer = register_as_w1(enrol, current_operation=running, instance_id="third", previous_token=token)
    assert [row["operation_id"] for row in answer.data["stop_operations"]] == [claim.operation_id]
    assert Attempt.objects.get().outcome == "lost"


def test_a_report_of_the_worker_itself_survives_its_restart(enrol: APIClient, claim: Claim) -> None:
    answer = register_as_w1(enrol, completed_operations=kept(claim, claim.request.attempt_secret))
    assert list(answer.data["acknowledged"]) == [claim.operation_id]
    assert Operation.objects.get().status == "COMPLETED"


def test_a_worker_of_protocol_1_gets_no_secret_and_needs_none() -> None:
    """It is supported until the next version: its attempts are as safe as before."""
    WorkerFactory(worker_id="w1", instance_id="one", endpoint_url="http://127.0.0.1:2", protocol_version=1)
    operation = OperationFactory()
    claim = claim_next(ME)
    assert claim is not None
    assert claim.request.attempt_secret == ""
    attempts.accept(operation.pk, 1, ME)
    assert worker().post(f"/operations/{operation.pk}/report", report(""), format="json").status_code == 200


@pytest.mark.parametrize(("protocol_version", "is_secret"), [(1, False), (2, True)])
def test_the_process_that_sends_the_start_decides_whether_there_is_a_secret(
    protocol_version: int, is_secret: bool
) -> None:
    """A web process of the older version may have claimed the worker: the dispatcher that pushes adds the secret."""
    WorkerFactory(worker_id="w1", instance_id="one", protocol_version=protocol_version)
    operation = OperationFactory()
    assert claims.claim_for(operation, ME, push=False) is not None
    assert not Attempt.objects.get().must_prove
    (follow_up,) = follow_ups.lease_due()
    assert follow_up.start is not None
    assert bool(follow_up.start.request.attempt_secret) is is_secret
    assert follow_up.start.endpoint.must_prove is is_secret
    assert Attempt.objects.get().must_prove is is_secret


def test_an_attempt_pushed_by_the_older_version_needs_no_secret_afterwards() -> None:
    WorkerFactory(worker_id="w1", instance_id="one", protocol_version=2)
    operation = OperationFactory()
    assert claims.claim_for(operation, ME) is not None
    Attempt.objects.update(must_prove=False)
    attempts.schedule_contact(Attempt.objects.all())
    (follow_up,) = follow_ups.lease_due()
    assert follow_up.start is not None
    assert follow_up.start.request.attempt_secret == ""
    assert not Attempt.objects.get().must_prove


def test_each_attempt_has_a_secret_of_its_own(claim: Claim) -> None:
    first = claim.request.attempt_secret
    interruptions.mark_lost(claim.operation_id, 1, ME, "test")
    interventions.cancel(claim.operation_id, ME, "test")
    interventions.retry(claim.operation_id, ME)
    Worker.objects.update(last_healthy_at=Now())
    second = claim_next(ME)
    assert second is not None
    assert second.request.attempt_secret not in ("", first)


def test_a_secret_is_no_part_of_a_report_that_is_shown() -> None:
    parsed = Report.model_validate(report("a-secret"))
    assert "a-secret" not in repr(parsed)
