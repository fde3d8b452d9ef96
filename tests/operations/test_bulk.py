"""Cancel and retry of a selection: by ids or by filters, over the API, the page and the commands."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from access.models import AuditEntry
from operations import bulk, interventions
from operations.actors import Actor
from operations.api import bulk as api_bulk
from operations.models import Checkpoint, Event, Operation, Tag
from operations.states import Status
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_at_once import THREADS, at_once

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
ENDED = {"completed_at": "2026-01-01T00:00Z"}


def create_failed(**fields: Any) -> Operation:
    return OperationFactory(status="FAILED", error_class="job", **ENDED, **fields)


def statuses() -> dict[str, str]:
    return dict(Operation.objects.values_list("pk", "status"))


def test_a_cancel_by_filter_changes_only_what_matches_and_has_not_ended(api: APIClient) -> None:
    for pk, kind in (("a", "echo"), ("b", "other"), ("c", "echo")):
        OperationFactory(operation_id=pk, operation_type=kind)
    OperationFactory(operation_id="d", status="COMPLETED", **ENDED)
    WorkerFactory()
    claim_next(ME)
    answer = api.post("/operations/cancel", {"operation_type": "echo", "reason": "a typo"})
    assert answer.status_code == 200
    assert answer.json() == {
        "matched": 2, "changed": 2, "skipped": 0, "remaining": 0, "skipped_operations": [],
    }  # fmt: skip
    assert statuses() == {"a": "CANCELLING", "b": "PENDING", "c": "CANCELLED", "d": "COMPLETED"}
    reasons = Event.objects.filter(actor="user:researcher").values_list("reason", flat=True)
    assert set(reasons) == {"a typo"}
    entry = AuditEntry.objects.get()
    assert (entry.act, entry.subject, entry.actor) == (
        "operations_cancelled", "operation_type=echo", "user:researcher",
    )  # fmt: skip
    assert entry.reason == "2 changed, 0 skipped; a typo"


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"status": "pending"}, "ab"),
        ({"status": "PENDING,RUNNING", "search": "needle"}, "b"),
        ({"created_by": "researcher"}, "a"),
        ({"created_by": "nobody"}, ""),
        ({"active": True}, "ab"),
        ({"active": False}, ""),
        ({"worker_id": "w"}, ""),
        ({"ids": ["b"]}, "b"),
    ],
    ids=str,
)
def test_the_filters_are_those_of_the_list(
    api: APIClient, person: User, body: dict[str, Any], changed: str
) -> None:
    OperationFactory(operation_id="a", created_by=person)
    OperationFactory(operation_id="b", parameters={"x": "a needle"})
    assert api.post("/operations/cancel", body).json()["changed"] == len(changed)
    assert {pk for pk, status in statuses().items() if status == "CANCELLED"} == set(changed)


def test_selected_operations_that_do_not_allow_it_are_named_with_the_reason(api: APIClient) -> None:
    waiting, done = OperationFactory(), OperationFactory(status="COMPLETED", **ENDED)
    answer = api.post("/operations/cancel", {"ids": [done.pk, "unknown", waiting.pk, waiting.pk]}).json()
    assert (answer["matched"], answer["changed"], answer["skipped"]) == (3, 1, 2)
    assert {row["operation_id"]: row["reason"] for row in answer["skipped_operations"]} == {
        "unknown": "Unknown operation.",
        done.pk: "The operation has already ended: it is COMPLETED.",
    }


def test_a_retry_takes_what_others_wait_for_first(api: APIClient) -> None:
    first = create_failed()
    second = create_failed()
    second.after.add(first)
    answer = api.post("/operations/retry", {"status": "FAILED"}).json()
    assert (answer["changed"], answer["skipped"]) == (2, 0)
    assert AuditEntry.objects.get().act == "operations_retried"


def test_a_resume_skips_what_has_no_checkpoint(api: APIClient) -> None:
    with_checkpoint, without = create_failed(), create_failed()
    Checkpoint.objects.create(operation=with_checkpoint, attempt=1, step=1)
    answer = api.post("/operations/retry", {"status": "FAILED", "resume": True}).json()
    assert answer["changed"] == 1
    (skipped,) = answer["skipped_operations"]
    assert skipped["operation_id"] == without.pk
    assert "no checkpoint" in skipped["reason"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"reason": "everything"}, ""),
        ({"ids": ["a"], "status": "PENDING"}, ""),
        ({"status": ""}, ""),
        ({"status": "NEW"}, "/status"),
        ({"ids": ["\x00"]}, "/ids/0"),
        ({"search": "\x00"}, "/search"),
        ({"reason": "\x00", "active": True}, "/reason"),
        ({"ids": ["a"] * 1001}, "/ids"),
        ({"colour": "red"}, "/colour"),
        ({"active": "perhaps"}, "/active"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_selection_that_makes_no_sense_is_refused(api: APIClient, body: Any, pointer: str) -> None:
    OperationFactory()
    for path in ("cancel", "retry"):
        answer = api.post(f"/operations/{path}", body)
        assert answer.status_code == 422, answer.json()
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert set(statuses().values()) == {"PENDING"}


def test_one_call_is_bounded_and_repeated_calls_reach_the_end(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_bulk, "MAX_OPERATIONS", 4)
    OperationFactory.create_batch(10)
    remaining = [api.post("/operations/cancel", {"active": True}).json()["remaining"] for _ in range(4)]
    assert remaining == [6, 2, 0, 0]
    assert set(statuses().values()) == {"CANCELLED"}


def test_operations_that_cannot_be_changed_do_not_fill_every_call(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_bulk, "MAX_OPERATIONS", 2)
    failed = create_failed(operation_type="training")
    for _ in range(5):
        OperationFactory(status="CANCELLED", **ENDED).after.add(failed)
    possible = [OperationFactory(status="CANCELLED", **ENDED).pk for _ in range(3)]
    answers = [api.post("/operations/retry", {"operation_type": "echo"}).json() for _ in range(2)]
    assert [(answer["changed"], answer["skipped"], answer["remaining"]) for answer in answers] == [
        (2, 5, 1),
        (1, 5, 0),
    ]
    assert {pk for pk, status in statuses().items() if status == "PENDING"} == set(possible)


@pytest.mark.parametrize(
    "labels",
    [
        {"add_tags": ["fx", "gold"]},
        {"remove_tags": ["old"]},
        {"add_tags": ["fx"], "remove_tags": ["fx", "old"]},
        {"dismissed": True},
        {"archived": True},
    ],
    ids=str,
)
def test_repeated_calls_label_each_operation_once(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, labels: dict[str, Any]
) -> None:
    monkeypatch.setattr(api_bulk, "MAX_OPERATIONS", 2)
    for _ in range(5):
        create_failed().tags.add(Tag.objects.get_or_create(name="old")[0])
    body = {"status": "FAILED", "archived": "any", "labels": labels}
    answers = [api.post("/operations/label", body).json() for _ in range(4)]
    assert [(answer["changed"], answer["remaining"]) for answer in answers] == [
        (2, 3),
        (2, 1),
        (1, 0),
        (0, 0),
    ]
    events = Event.objects.filter(kind="labelled").values_list("operation_id", flat=True)
    assert sorted(events) == sorted(statuses())


def test_a_call_ends_when_its_time_is_over(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_bulk, "TIME_LIMIT_S", -1.0)
    OperationFactory.create_batch(3)
    for body in ({"active": True}, {"ids": list(statuses())}):
        answer = api.post("/operations/cancel", body).json()
        assert (answer["matched"], answer["changed"], answer["remaining"]) == (3, 0, 3)
    assert not AuditEntry.objects.exists()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(list(Status)), min_size=1, max_size=8), st.data())
def test_an_operation_that_raises_harms_only_itself(
    api: APIClient, wanted: list[Status], data: st.DataObject
) -> None:
    Operation.objects.all().delete()
    rows = [
        OperationFactory(
            status=status,
            error_class="job" if status == "FAILED" else "",
            completed_at="2026-01-01T00:00Z" if status in ("COMPLETED", "FAILED", "CANCELLED") else None,
        ).pk
        for status in wanted
    ]
    bad = set(data.draw(st.lists(st.sampled_from(rows), max_size=3)))
    cancel = interventions.cancel

    def raising(operation_id: str, *args: Any) -> Operation:
        operation = cancel(operation_id, *args)
        if operation_id in bad:
            raise ValueError("one bad operation")
        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interventions, "cancel", raising)
        answer = api.post("/operations/cancel", {"ids": rows}).json()
    assert answer["changed"] + answer["skipped"] == answer["matched"] == len(rows)
    able = {pk for pk, status in zip(rows, wanted, strict=True) if status in ("PENDING", "CANCELLING")}
    now = statuses()
    for pk in able - bad:
        assert now[pk] in ("CANCELLED", "CANCELLING")
    assert {row["operation_id"] for row in answer["skipped_operations"]} >= bad


@pytest.mark.django_db(transaction=True)
def test_bulk_cancels_from_eight_threads_change_each_operation_once() -> None:
    rows = OperationFactory.create_batch(30)
    for follower, awaited in zip(rows[1:], rows[:-1], strict=True):
        follower.after.add(awaited)

    def cancel_all() -> int:
        return bulk.act_on_matching(bulk.CANCEL, Operation.objects.all(), ME).changed

    at_once(*[cancel_all] * THREADS)
    assert set(statuses().values()) == {"CANCELLED"}
    assert Event.objects.filter(to_status="CANCELLED").count() == 30


# The page


@pytest.fixture
def browser(client: Client, person: User) -> Client:
    client.force_login(person)
    return client


def test_the_page_confirms_and_then_changes_all_that_match(browser: Client) -> None:
    for number in range(60):
        OperationFactory(operation_type="echo" if number % 2 else "other")
    listed = browser.get("/dashboard/operations?operation_type=echo").content.decode()
    assert "/dashboard/operations/all/cancel?operation_type=echo" in listed
    confirmation = browser.get("/dashboard/operations/all/cancel?operation_type=echo").content.decode()
    assert "Cancel 30 operations" in confirmation
    assert set(statuses().values()) == {"PENDING"}, "a GET changes nothing"
    response = browser.post("/dashboard/operations/all/cancel?operation_type=echo", {"reason": "a typo"})
    assert response.headers["Location"] == "/dashboard/operations?operation_type=echo"
    assert "Cancel: 30 of 30 operations." in browser.get(response.headers["Location"]).content.decode()
    assert Event.objects.filter(reason="a typo").count() == 30


def test_the_page_leads_back_to_the_confirmation_while_operations_remain(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_bulk, "MAX_OPERATIONS", 2)
    OperationFactory.create_batch(3)
    address = "/dashboard/operations/all/cancel?status=PENDING"
    assert browser.post(address).headers["Location"] == address
    assert "1 operations remain" in browser.get(address).content.decode()
    assert browser.post(address).headers["Location"] == "/dashboard/operations?status=PENDING"


def test_the_active_tab_leaves_waiting_operations_alone(browser: Client) -> None:
    running, waiting = OperationFactory(priority=1), OperationFactory()
    WorkerFactory()
    claim_next(ME)
    browser.post("/dashboard/operations/all/cancel?active=true")
    assert statuses() == {running.pk: "CANCELLING", waiting.pk: "PENDING"}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Choose a filter first."),
        ("status=NEW", "Unknown status"),
        ("search=none", "No matching operation"),
    ],
)
def test_the_page_changes_nothing_without_a_usable_filter(browser: Client, query: str, text: str) -> None:
    OperationFactory()
    address = f"/dashboard/operations/all/cancel?{query}"
    assert text in browser.get(address).content.decode()
    assert browser.post(address).status_code == 302
    assert set(statuses().values()) == {"PENDING"}
    assert browser.get("/dashboard/operations/all/explode?status=PENDING").status_code == 404
