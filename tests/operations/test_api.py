"""The API for people, over HTTP as far as the view."""

from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from operations import artifacts, attempts, interventions, reports
from operations.actors import Actor
from operations.api import base
from operations.api import operations as operations_api
from operations.models import Event, LogLine, MetricPoint, Operation
from tests.claiming import claim_next, start_next
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from worker_agent.protocol import Outcome, Report

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
ME = Actor("user:test")
ECHO = {"operation_type": "echo", "parameters": {"seconds": 1}}
SCHEMA = {"type": "object", "properties": {"seconds": {"type": "number"}}, "additionalProperties": False}


@pytest.fixture
def echo() -> None:
    CapabilityFactory(parameters_schema=SCHEMA)


def complete(**fields: Any) -> Operation:
    operation = OperationFactory(**fields)
    WorkerFactory()
    claim = start_next(ME)
    file = artifacts.put([b'{"rows": 3}'])
    report = Report(
        attempt=1,
        instance_id="any",
        outcome=Outcome.COMPLETED,
        result={"answer": 42},
        artifacts=[{"name": "report.json", "sha256": file.sha256, "size": file.size}],
    )
    reports.apply(operation.pk, claim.endpoint.worker_id, report)
    operation.refresh_from_db()
    return operation


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("delete", "/cancel"),
        ("delete", ""),
        ("patch", ""),
        ("post", "/retry"),
        ("post", "/resume"),
        ("post", "/delete"),
        ("post", "/restore"),
    ],
)
def test_a_change_of_an_operation_that_is_deleted_or_removed_meanwhile_is_answered_with_404(
    method: str, path: str, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a second click on a button is."""
    operation = OperationFactory(status="CANCELLED", completed_at=Now())
    find = base.get_or_404

    def delete_after_it(*arguments: Any) -> Operation:
        found = find(*arguments)
        if path == "/restore":
            Operation.objects.all().delete()
        Operation.objects.update(deleted_at=Now())
        return found

    monkeypatch.setattr(base, "get_or_404", delete_after_it)
    monkeypatch.setattr(operations_api, "get_or_404", delete_after_it)
    answer = getattr(api, method)(f"/operations/{operation.pk}{path}", {})
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(("The operation was deleted", "Unknown operation"))


def test_a_submitted_operation_is_answered_with_where_to_follow_it(api: APIClient, echo: None) -> None:
    answer = api.post("/operations", ECHO)
    assert answer.status_code == 202
    operation_id = answer.json()["operation_id"]
    assert answer.json() == {
        "operation_id": operation_id,
        "task_id": operation_id,
        "status": "PENDING",
        "url": f"http://testserver/operations/{operation_id}",
    }
    assert answer["Location"] == answer.json()["url"]
    assert Operation.objects.get().created_by is not None
    assert Event.objects.get().actor == "user:researcher"


def test_an_operation_is_shown_whole(api: APIClient) -> None:
    operation = complete(parameters={"seconds": 1})
    answer = api.get(f"/operations/{operation.pk}").json()
    assert set(answer) >= {
        "operation_id", "operation_type", "status", "created_at", "started_at", "completed_at", "created_by", "priority",
        "worker_id", "attempt", "max_attempts", "waiting_reason", "after", "progress", "parameters", "result", "error",
        "resumable", "artifacts", "attempts",
    }  # fmt: skip
    assert set(answer["progress"]) == {
        "percentage", "current_step", "steps_completed", "steps_total", "eta_seconds", "updated_at", "stale",
    }  # fmt: skip
    assert (answer["status"], answer["result"], answer["error"]) == ("COMPLETED", {"answer": 42}, None)
    assert answer["progress"]["percentage"] == 100
    assert answer["progress"]["stale"] is False
    (artifact,) = answer["artifacts"]
    assert artifact["url"] == f"http://testserver/operations/{operation.pk}/artifacts/report.json"
    (attempt,) = answer["attempts"]
    assert (attempt["attempt"], attempt["outcome"]) == (1, "completed")
    assert answer["created_at"].endswith("Z")


def test_a_failed_operation_says_why(api: APIClient) -> None:
    operation = OperationFactory()
    WorkerFactory()
    claim_next(ME)
    attempts.fail_invalid(operation.pk, 1, ME, "seconds is not a number")
    answer = api.get(f"/operations/{operation.pk}").json()
    assert answer["error"] == {"class": "invalid", "message": "seconds is not a number", "traceback": ""}
    assert answer["resumable"] is False


def test_an_unchanged_operation_is_answered_with_304(api: APIClient) -> None:
    address = f"/operations/{complete().pk}"
    etag = api.get(address)["ETag"]
    assert api.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert api.get(address, headers={"If-None-Match": '"else"'}).status_code == 200


def test_parameters_are_held_against_the_announced_schema(api: APIClient, echo: None) -> None:
    answer = api.post("/operations", {"operation_type": "echo", "parameters": {"seconds": "x", "more": 1}})
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert {error["pointer"]: error["detail"] for error in answer.json()["errors"]} == {
        "/parameters/more": "is not a known field",
        "/parameters/seconds": 'must be a number, not "x"',
    }
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "schema", [{"$ref": "http://127.0.0.1:1/schema.json"}, {"type": "nonsense"}, {"$ref": "#"}], ids=str
)
def test_a_schema_that_makes_no_sense_is_said_and_fetches_nothing(api: APIClient, schema: Any) -> None:
    CapabilityFactory(parameters_schema=schema)
    answer = api.post("/operations", ECHO)
    assert answer.status_code == 422
    assert "not usable" in answer.json()["detail"]


def test_a_type_that_no_worker_announced_is_refused(api: APIClient) -> None:
    answer = api.post("/operations", {"operation_type": "dream", "parameters": {}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/operation_type"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**ECHO, "priority": "high"}, "/priority"),
        ({**ECHO, "priority": 10**12}, "/priority"),
        ({**ECHO, "colour": "red"}, "/colour"),
        ({**ECHO, "after": ["nobody"]}, "/after/0"),
        ({**ECHO, "after": ["\x00"]}, "/after/0"),
        ({"parameters": {}}, "/operation_type"),
        ({"operation_type": "free", "parameters": {"a": ["b", {"c": "\x00"}]}}, "/parameters/a/1/c"),
    ],
    ids=str,
)
def test_bad_input_is_refused_with_a_pointer(api: APIClient, echo: None, body: Any, pointer: str) -> None:
    CapabilityFactory(operation_type="free", worker_type="free")
    answer = api.post("/operations", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_what_is_not_json_is_a_400(api: APIClient) -> None:
    answer = api.post("/operations", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_without_credentials_everything_is_401() -> None:
    for address in (
        "/operations",
        "/operations/x",
        "/operations/x/logs",
        "/market-data",
        "/artifacts/" + "a" * 64,
    ):
        answer = APIClient().get(address)
        assert answer.status_code == 401, address
    assert APIClient().post("/operations/x/report", {}).status_code == 401


def test_the_same_key_and_body_have_the_same_answer(api: APIClient, echo: None) -> None:
    first = api.post("/operations", ECHO, headers={"Idempotency-Key": "k1"})
    again = api.post("/api/v1/operations", dict(reversed(ECHO.items())), headers={"Idempotency-Key": "k1"})
    assert again.json() == first.json()
    assert again.status_code == 202
    other = api.post("/operations", {**ECHO, "priority": 1}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert Operation.objects.count() == 1


def test_two_people_may_use_the_same_key(api: APIClient, staff_api: APIClient, echo: None) -> None:
    answers = [one.post("/operations", ECHO, headers={"Idempotency-Key": "k1"}) for one in (api, staff_api)]
    assert answers[0].json()["operation_id"] != answers[1].json()["operation_id"]


def test_not_to_wait_without_a_worker_is_503_with_counts_and_nothing_stored(
    api: APIClient, echo: None
) -> None:
    WorkerFactory(status="BUSY")
    WorkerFactory(cordoned=True)
    answer = api.post("/operations", {**ECHO, "queue": False})
    assert answer.status_code == 503
    body = answer.json()
    assert [body[name] for name in ("registered", "busy", "unavailable", "cordoned")] == [2, 1, 0, 1]
    assert "2 echo workers: 1 busy, 1 cordoned" in body["detail"]
    assert not Operation.objects.exists()
    assert not Event.objects.exists()


def test_not_to_wait_with_a_worker_claims_it_before_the_answer(api: APIClient, echo: None) -> None:
    worker = WorkerFactory()
    answer = api.post("/operations", {**ECHO, "queue": False})
    assert (answer.status_code, answer.json()["status"]) == (202, "DISPATCHING")
    worker.refresh_from_db()
    assert worker.status == "BUSY"
    assert api.post("/operations", {**ECHO, "queue": False}).status_code == 503


def test_what_waits_for_an_operation_that_failed_fails_with_the_reason(api: APIClient, echo: None) -> None:
    first = api.post("/operations", ECHO).json()["operation_id"]
    second = api.post("/operations", {**ECHO, "after": [first]}).json()["operation_id"]
    third = api.post("/operations", {**ECHO, "after": [second]}).json()["operation_id"]
    assert api.get(f"/operations/{second}").json()["waiting_reason"] == f"waits for {first}"
    assert api.delete(f"/operations/{first}/cancel?reason=wrong").status_code == 202
    assert [api.get(f"/operations/{one}").json()["status"] for one in (second, third)] == ["CANCELLED"] * 2
    answer = api.post("/operations", {**ECHO, "after": [first]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/after/0")


def test_cancel_ends_what_waits_and_refuses_what_has_ended(api: APIClient) -> None:
    operation = OperationFactory()
    answer = api.delete(f"/operations/{operation.pk}?reason=a%20typo")
    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLED")
    assert operation.events.get().reason == "a typo"
    again = api.delete(f"/operations/{operation.pk}/cancel")
    assert (again.status_code, again.json()["status"]) == (409, 409)
    assert api.delete("/operations/unknown/cancel").status_code == 404


def test_retry_begins_anew_and_resume_needs_a_checkpoint(api: APIClient) -> None:
    operation = OperationFactory()
    assert api.post(f"/operations/{operation.pk}/retry").status_code == 409
    interventions.cancel(operation.pk, ME)
    assert api.post(f"/operations/{operation.pk}/resume").status_code == 409
    answer = api.post(f"/operations/{operation.pk}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")


def test_the_catalog_says_what_a_strategy_may_name(api: APIClient) -> None:
    shown = api.get("/strategies/catalog").json()
    assert "1d" in shown["timeframes"]
    assert "close" in shown["sources"]
    rsi = next(one for one in shown["indicators"] if one["name"] == "rsi")
    assert "period" in [parameter["name"] for parameter in rsi["parameters"]]
    assert {"triangular", "trapezoidal", "gaussian"} == {one["name"] for one in shown["memberships"]}


def test_cursors_bring_what_is_newer_and_nothing_twice(api: APIClient) -> None:
    operation = OperationFactory()
    LogLine.objects.bulk_create(
        LogLine(
            operation=operation, attempt=1, seq=seq, time="2026-01-01T00:00Z", level="info", message=str(seq)
        )
        for seq in range(1, 8)
    )
    seen, cursor = [], 0
    while page := (answer := api.get(f"/operations/{operation.pk}/logs?cursor={cursor}&limit=3").json())[
        "results"
    ]:
        seen += [row["message"] for row in page]
        cursor = answer["next_cursor"]
    assert seen == [str(seq) for seq in range(1, 8)]
    for bad in ("-1", "x", "9" * 30, "%00"):
        assert api.get(f"/operations/{operation.pk}/logs?cursor={bad}").status_code == 422


def test_metrics_and_events_have_their_pages(api: APIClient) -> None:
    operation = complete()
    MetricPoint.objects.create(
        operation=operation, attempt=1, seq=1, time="2026-01-01T00:00Z", name="loss", step=1, value=0.5
    )
    point = api.get(f"/operations/{operation.pk}/metrics").json()["results"][0]
    assert (point["name"], point["step"], point["value"], point["attempt"]) == ("loss", 1, 0.5, 1)
    events = api.get(f"/operations/{operation.pk}/events").json()["results"]
    assert [event["to_status"] for event in events] == ["DISPATCHING", "RUNNING", "COMPLETED"]


def test_the_list_is_newest_first_in_pages_with_a_fixed_number_of_queries(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    made = [OperationFactory().pk for _ in range(7)]
    complete()
    first = api.get("/operations?limit=5").json()
    second = api.get(first["next"]).json()
    assert [row["operation_id"] for row in first["results"] + second["results"]][1:] == made[::-1]
    assert second["next"] is None
    with django_assert_num_queries(7):  # token, page, after, attempts, tags, artifacts, demands
        api.get("/operations?limit=200")


def test_one_operation_costs_a_fixed_number_of_queries(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    operation = complete()
    api.get(f"/operations/{operation.pk}")
    with django_assert_num_queries(7):  # token, row, row with annotations, after, attempts, tags, artifacts
        api.get(f"/operations/{operation.pk}")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=pending", {"a"}),
        ("status=PENDING,CANCELLED", {"a", "b"}),
        ("active=true", {"a"}),
        ("operation_type=other", {"b"}),
        ("search=needle", {"b"}),
        ("search=aaaa", {"a"}),
        ("created_by=nobody", set()),
        ("worker_id=w9", set()),
        ("search=100%25", set()),
    ],
)
def test_the_list_can_be_narrowed(api: APIClient, query: str, found: set[str]) -> None:
    OperationFactory(operation_id="aaaa1")
    other = OperationFactory(operation_id="bbbb1", operation_type="other", parameters={"x": "needle"})
    interventions.cancel(other.pk, ME)
    rows = api.get(f"/operations?{query}").json()["results"]
    assert {row["operation_id"][0] for row in rows} == found


@pytest.mark.parametrize(
    "query", ["status=NEW", "limit=0", "limit=201", "limit=x", "search=%00", "cursor=zzz"]
)
def test_a_filter_that_makes_no_sense_is_refused(api: APIClient, query: str) -> None:
    assert api.get(f"/operations?{query}").status_code in (404, 422)
