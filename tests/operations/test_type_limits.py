"""Limits that workers declare for their operation types: applied at submission and dispatch, and shown."""

from typing import Any

import pytest
from pydantic import BaseModel
from rest_framework.test import APIClient

from access.problems import Unavailable
from operations import attempts, reports
from operations.actors import Actor
from operations.dispatching import reasons
from operations.dispatching.claims import claim_some
from operations.dispatching.planning import Planner
from operations.insertion import Submitter
from operations.models import Attempt, Operation
from operations.requests import Queueing, Submission
from operations.submission import submit
from operations.waiting import explain_waits
from registry.models import Capability
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from tests.operations.test_at_once import at_once
from worker_agent.base import WorkerAPIBase
from worker_agent.protocol import Outcome, Report

ME = Actor("test")


class Parameters(BaseModel):
    text: str = ""


class Limited(WorkerAPIBase):
    worker_type = operation_type = "limited"
    start_path = "/limited/start"
    Parameters = Parameters
    timeout_s, max_attempts, max_running = 600, 2, 3


def submit_one(operation_type: str = "echo", **queueing: Any) -> Operation:
    submission = Submission(operation_type, {}, Queueing(**queueing))
    return Operation.objects.get(pk=submit(submission, Submitter()).pk)


def claim_all() -> list[str]:
    """Claim as a dispatcher does in one round; return the ids of the operations."""
    plan, claimed = Planner().make_plan(), []
    while claims := claim_some(plan, ME):
        claimed += [claim.operation_id for claim in claims]
    return claimed


def finish(operation_id: str) -> None:
    attempt = Attempt.objects.get(operation=operation_id, ended_at=None)
    attempts.accept(operation_id, attempt.number, ME)
    report = Report(attempt=attempt.number, instance_id="any", outcome=Outcome.COMPLETED, result={})
    reports.apply(operation_id, attempt.worker_id, report)


def test_a_worker_class_announces_its_limits() -> None:
    message = Limited.specs()[0].to_message()
    assert (message.timeout_s, message.max_attempts, message.max_running) == (600, 2, 3)


@pytest.mark.django_db
def test_time_and_attempts_are_applied_at_submission_after_request_and_settings(settings: Any) -> None:
    CapabilityFactory(worker_type="a", timeout_s=600, max_attempts=1)
    CapabilityFactory(worker_type="b", timeout_s=60, max_attempts=2)
    CapabilityFactory(operation_type="other")
    settings.TIMEOUT_S = {"*": 100}
    settings.MAX_ATTEMPTS = 5
    assert (submit_one().timeout_s, submit_one().max_attempts) == (600, 2)
    assert (submit_one("other").timeout_s, submit_one("other").max_attempts) == (100, 5)
    assert submit_one(timeout_s=7).timeout_s == 7
    settings.TIMEOUT_S = {"*": 100, "echo": 50}
    assert submit_one().timeout_s == 50


@pytest.mark.django_db
@pytest.mark.parametrize("demands", [1, 2])
def test_no_more_operations_run_than_the_type_has_slots(demands: int) -> None:
    for _ in range(5):
        WorkerFactory(capabilities={"cores": 4})
    WorkerFactory(announced=("other",))
    limited = [OperationFactory(requirements={"cores": 1 + number % demands}) for number in range(4)]
    other = OperationFactory(operation_type="other")
    Capability.objects.filter(operation_type="echo").update(max_running=2)
    claimed = claim_all()
    assert other.pk in claimed
    assert len(claimed) == 3
    assert claim_all() == []
    reasons.refresh()
    waiting = list(Operation.objects.filter(status="PENDING"))
    explain_waits(waiting)
    assert {row.waiting_reason for row in waiting} == {
        "2 operations of type echo are running, as many as its workers declare"
    }
    with pytest.raises(Unavailable, match="2 operations of type echo are running"):
        submit_one(queue=False)
    finish(next(pk for pk in claimed if pk != other.pk))
    (third,) = claim_all()
    assert third in {row.pk for row in limited} - set(claimed)


@pytest.mark.django_db(transaction=True)
def test_dispatchers_at_the_same_moment_share_the_slots() -> None:
    for _ in range(8):
        WorkerFactory()
    for _ in range(8):
        OperationFactory()
    Capability.objects.update(max_running=3)
    claimed = at_once(*[claim_all] * 4)
    assert sum(map(len, claimed)) == 3
    assert Attempt.objects.filter(ended_at=None).count() == 3


@pytest.mark.django_db
def test_the_types_and_the_page_of_a_worker_show_them(api: APIClient, admin_client: Any) -> None:
    WorkerFactory(worker_id="w1")
    Capability.objects.update(timeout_s=600, max_attempts=2, max_running=3)
    (announced,) = api.get("/operation-types/echo").json()["announced"]
    assert (announced["timeout_s"], announced["max_attempts"], announced["max_running"]) == (600, 2, 3)
    page = " ".join(admin_client.get("/dashboard/workers/w1").content.decode().split())
    for text in ("at most 10 min 0 s per attempt", "fails when lost 2 times", "at most 3 at the same time"):
        assert text in page
