"""During a pause no operation starts; afterwards the queue goes on as if nothing had happened."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from access.models import AuditEntry
from ktrdr_site.doctor import services
from ktrdr_site.observability.prometheus import metric_registry
from operations import dispatch_pauses
from operations.actors import Actor
from operations.dispatching import claims, reasons
from operations.dispatching.planning import Planner
from operations.models import Demand, DispatchPause, Operation
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:me")


def test_nothing_is_claimed_during_a_pause_not_even_by_a_plan_from_before_it() -> None:
    for _ in range(2):
        OperationFactory()
        WorkerFactory()
    plan = Planner().make_plan()
    assert claims.claim_some(plan, ME, at_most=1)
    dispatch_pauses.begin(ME, "new disk")
    assert not claims.claim_some(plan, ME)
    assert claim_next(ME) is None
    assert dispatch_pauses.end(ME)
    assert claim_next(ME) is not None
    assert not dispatch_pauses.end(ME)


def test_a_pause_ends_after_its_hours_and_a_new_one_replaces_it() -> None:
    OperationFactory()
    WorkerFactory()
    dispatch_pauses.begin(ME, "first", hours=1)
    DispatchPause.objects.update(ends_at=Now() - timedelta(seconds=1))
    assert dispatch_pauses.current() is None
    dispatch_pauses.begin(ME, "second", hours=2)
    dispatch_pauses.begin(Actor("user:other"), "third")
    pause = dispatch_pauses.current()
    assert pause is not None
    assert (pause.reason, pause.paused_by, pause.ends_at) == ("third", "user:other", None)
    assert claim_next(ME) is None
    DispatchPause.objects.update(ends_at=Now() - timedelta(seconds=1))
    assert claim_next(ME) is not None


def test_what_waits_says_why_and_says_something_else_afterwards() -> None:
    OperationFactory()
    claim_next(ME)  # stores the demand
    dispatch_pauses.begin(ME, "new disk")
    reasons.refresh()
    assert Demand.objects.get().waiting_reason == "Dispatching is paused by user:me: new disk"
    dispatch_pauses.end(ME)
    reasons.refresh()
    assert "paused" not in Demand.objects.get().waiting_reason


def test_an_operation_that_was_not_to_wait_fails_with_the_reason() -> None:
    operation = OperationFactory(queue=False)
    WorkerFactory()
    dispatch_pauses.begin(ME, "new disk")
    claim_next(ME)
    reasons.refresh()
    ended = Operation.objects.get(pk=operation.pk)
    assert ended.status == "FAILED"
    assert "new disk" in ended.error_message


def test_staff_pause_and_resume_by_the_api_and_everybody_reads_it(
    api: APIClient, staff_api: APIClient
) -> None:
    assert api.get("/dispatch-pause").json()["paused"] is False
    assert api.put("/dispatch-pause", {"reason": "x"}, format="json").status_code == 403
    answer = staff_api.put("/dispatch-pause", {"reason": " new disk ", "hours": 1.5}, format="json")
    assert answer.status_code == 200
    shown = api.get("/dispatch-pause").json()
    assert (shown["paused"], shown["reason"], shown["paused_by"]) == (True, "new disk", "user:operator")
    assert shown["ends_at"] > shown["paused_at"]
    assert api.delete("/dispatch-pause").status_code == 403
    assert staff_api.delete("/dispatch-pause").json()["paused"] is False
    assert staff_api.delete("/dispatch-pause").status_code == 200
    acts = AuditEntry.objects.order_by("pk").values_list("act", "subject", "reason")
    assert list(acts.filter(subject="dispatching")) == [
        ("dispatching_paused", "dispatching", "new disk"),
        ("dispatching_resumed", "dispatching", ""),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/reason"),
        ({"reason": "   "}, "/reason"),
        ({"reason": "x" * 201}, "/reason"),
        ({"reason": "a\0b"}, "/reason"),
        ({"reason": "x", "hours": 0}, "/hours"),
        ({"reason": "x", "hours": "NaN"}, "/hours"),
        ({"reason": "x", "hours": 1e9}, "/hours"),
        ({"reason": "x", "until": "tomorrow"}, "/until"),
    ],
)
def test_a_bad_request_is_refused_at_its_field(staff_api: APIClient, body: Any, pointer: str) -> None:
    answer = staff_api.put("/dispatch-pause", body, format="json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert dispatch_pauses.current() is None


def test_the_commands_pause_and_resume() -> None:
    def run(*words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    assert "until resume_dispatching" in run("pause_dispatching", "new disk")
    assert json.loads(run("pause_dispatching", "new disk", "--hours", "2", "--json"))["ends_at"]
    assert "continues" in run("resume_dispatching")
    assert json.loads(run("resume_dispatching", "--json")) == {"paused": False, "was_paused": False}
    for hours in ("0", "-1", "nan", "inf"):
        with pytest.raises(CommandError, match="--hours must be above 0"):
            run("pause_dispatching", "x", "--hours", hours)
    with pytest.raises(CommandError, match="1 to 200 characters"):
        run("pause_dispatching", " ")


def test_the_pages_show_the_pause_and_only_staff_may_end_it(client: Client, staff: Any, person: Any) -> None:
    client.force_login(staff)
    client.post("/dashboard/dispatch-pause", {"act": "pause", "reason": "<b>new</b> disk", "hours": ""})
    page = client.get("/dashboard/operations").content.decode()
    assert "Dispatching is paused" in page
    assert "&lt;b&gt;new&lt;/b&gt; disk" in page
    assert "Resume" in page
    client.force_login(person)
    page = client.get("/dashboard/runs").content.decode()
    assert "Dispatching is paused" in page
    assert "dashboard/dispatch-pause" not in page
    assert client.post("/dashboard/dispatch-pause", {"act": "resume"}).status_code == 403
    client.force_login(staff)
    client.post("/dashboard/dispatch-pause", {"act": "resume"})
    assert "Dispatching is paused" not in client.get("/dashboard/workers").content.decode()
    answer = client.post("/dashboard/dispatch-pause", {"act": "pause", "reason": ""}, follow=True)
    assert "Not paused. reason:" in answer.content.decode()


def test_metric_and_doctor_tell_it() -> None:
    def value() -> Any:
        return metric_registry().get_sample_value("ktrdr_dispatch_paused")

    assert value() == 0
    dispatch_pauses.begin(ME, "new disk")
    assert value() == 1
    assert any("paused by user:me: new disk" in finding.problem for finding in services.dispatcher())
