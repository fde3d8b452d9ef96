"""Options of lists, long polls and the list of operation types."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from jsonschema import Draft202012Validator
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from operations import interventions, waiting_threads, watching
from operations.actors import Actor
from operations.api.chosen_fields import FIELD_NAMES
from operations.models import MarketData, Operation
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from tests.operations.test_api import complete

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
ME = Actor("user:test")


def ids_of(answer: Any) -> set[str]:
    return {row["operation_id"] for row in answer.json()["results"]}


def test_a_list_has_only_the_fields_that_were_named(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    training = OperationFactory(
        operation_type="training", parameters={"strategy_yaml": "name: trend\n", "symbols": ["AAPL"]}
    )
    OperationFactory(operation_type="backtesting", parameters={"model": training.pk, "symbol": "IBM"})
    api.get("/operations?fields=status")
    with django_assert_num_queries(2):  # token, page
        rows = api.get("/operations?fields=status,error").json()["results"]
    assert [set(row) for row in rows] == [{"operation_id", "status", "error"}] * 2
    with django_assert_num_queries(3):  # token, page, strategies of models
        rows = api.get("/operations?fields=subject,headline").json()["results"]
    assert [row["subject"] for row in rows] == ["trend · IBM", "trend · AAPL"]
    assert [row["headline"] for row in rows] == [None, None]


def test_a_list_has_no_parameters_or_results_unless_they_are_named(api: APIClient) -> None:
    texts = {"strategy_yaml": "name: a-long-text\n", "study_yaml": "name: another\n"}
    operation = complete(parameters={"seconds": 1, **texts})
    answer = api.get("/operations")
    (row,) = answer.json()["results"]
    whole = api.get(f"/operations/{operation.pk}").json()
    assert whole.keys() - row.keys() == {"parameters", "result", "note"}
    assert row == {name: whole[name] for name in row}
    assert not any(text in answer.content.decode() for text in ("a-long-text", "another", "answer"))
    (row,) = api.get("/operations?fields=parameters,result").json()["results"]
    assert row == {name: whole[name] for name in ("operation_id", "parameters", "result")}


def test_each_field_of_a_list_can_be_named(api: APIClient) -> None:
    complete(parameters={"seconds": 1})
    headline = {"name": "Answer", "text": "42"}
    values = [{"title": "Answer", "text": "42"}]
    computed = {"subject": "", "headline": headline, "result_values": values}
    (row,) = api.get("/operations").json()["results"]
    whole = {**api.get(f"/operations/{row['operation_id']}").json(), **computed}
    for name in FIELD_NAMES:
        (row,) = api.get(f"/operations?fields={name}").json()["results"]
        assert row == {"operation_id": whole["operation_id"], name: whole[name]}


def test_a_list_can_be_limited_by_ids_and_time(api: APIClient) -> None:
    old, archived, new = OperationFactory(), OperationFactory(), OperationFactory()
    Operation.objects.filter(pk=old.pk).update(created_at=now() - timedelta(days=2))
    Operation.objects.filter(pk=archived.pk).update(archived_at=now())
    since = (now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids_of(api.get(f"/operations?created_after={since}")) == {new.pk}
    assert ids_of(api.get(f"/operations?ids={old.pk},{archived.pk},unknown")) == {old.pk, archived.pk}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("fields=status,nothing", "/fields"),
        ("fields=", "/fields"),
        ("ids=" + ",".join(str(number) for number in range(201)), "/ids"),
        ("created_after=yesterday", "/created_after"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(api: APIClient, query: str, pointer: str) -> None:
    answer = api.get(f"/operations?{query}")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_long_poll_is_answered_when_the_operation_ends() -> None:
    operation = OperationFactory()
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            interventions.cancel(operation.pk, ME)

    watching.wait_until_ended(operation.pk, 30, pause)
    assert len(pauses) == 3


def test_a_long_poll_is_answered_when_the_operation_changes(api: APIClient) -> None:
    operation = OperationFactory()
    marks = watching.marks_of(operation.pk)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        Operation.objects.filter(pk=operation.pk).update(title="renamed")

    watching.wait_until_changed(operation.pk, marks, 30, pause)
    assert len(pauses) == 1


def test_a_long_poll_of_what_has_ended_or_changed_is_answered_at_once(api: APIClient) -> None:
    ended, waiting = complete(), OperationFactory()
    assert api.get(f"/operations/{ended.pk}?wait=30").json()["status"] == "COMPLETED"
    answer = api.get(f"/operations/{waiting.pk}?wait=30", headers={"If-None-Match": 'W/"other"'})
    assert (answer.status_code, "Retry-After" in answer) == (200, False)
    assert api.get("/operations/unknown?wait=30").status_code == 404
    assert api.get(f"/operations/{ended.pk}?wait=31").status_code == 422


def test_only_a_few_requests_wait_and_the_others_are_answered_with_retry_after(api: APIClient) -> None:
    operation = OperationFactory()
    with watching.waiter(), watching.waiter(), watching.waiter() as third:
        assert third
        answer = api.get(f"/operations/{operation.pk}?wait=30")
    assert (answer.status_code, answer["Retry-After"], answer.json()["status"]) == (200, "1", "PENDING")
    with watching.waiter() as is_free:
        assert is_free


def test_long_polls_and_waits_for_workers_leave_half_of_the_threads_free() -> None:
    """Each thread of the pool stands for one of a web process, which has eight."""
    start, is_over = threading.Barrier(9), threading.Event()

    def wait(place: Callable[[], AbstractContextManager[bool]]) -> bool:
        with place() as is_free:
            start.wait(30)
            if is_free:
                is_over.wait(30)
            return is_free

    with ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(wait, watching.waiter) for _ in range(4)]
        waits += [pool.submit(wait, waiting_threads.short_wait) for _ in range(4)]
        start.wait(30)
        is_over.set()
        free = [future.result(30) for future in waits]
    assert sum(free) == waiting_threads.MOST == 4
    assert sum(free[:4]) <= waiting_threads.MOST_LONG
    with watching.waiter() as is_free, waiting_threads.short_wait() as is_inner_free:
        assert is_free
        assert is_inner_free, "the progress of a long poll is read in its own place"


def test_a_process_that_ends_answers_long_polls_with_what_is_known(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = OperationFactory()
    leaving = threading.Event()
    monkeypatch.setattr(watching, "LEAVING", leaving)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        leaving.set()

    watching.wait_until_ended(operation.pk, 30, pause)
    watching.wait_until_changed(operation.pk, watching.marks_of(operation.pk), 30, pause)
    assert len(pauses) == 1
    answer = api.get(f"/operations/{operation.pk}?wait=30")
    assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")


def test_operation_types_have_schemas_examples_and_workers(api: APIClient) -> None:
    schema = {
        "type": "object",
        "properties": {"seconds": {"$ref": "#/$defs/Seconds", "default": 2}, "text": {"type": "string"}},
        "$defs": {"Seconds": {"type": "number", "minimum": 0}},
    }
    CapabilityFactory(parameters_schema=schema)
    WorkerFactory()
    types = {row["operation_type"]: row for row in api.get("/operation-types").json()["results"]}
    assert types["training"]["submit_path"] == "/training/start"
    assert types["data_import"]["request_schema"] is None
    echo = types["echo"]
    assert echo == api.get("/operation-types/echo").json()
    assert (echo["submit_path"], echo["announced"][0]["parameters_schema"]) == ("/operations", schema)
    assert echo["example"] == {"operation_type": "echo", "parameters": {"seconds": 2}}
    for row in types.values():
        if row["example"] is not None:
            Draft202012Validator(row["request_schema"]).validate(row["example"])
    invalid = {"operation_type": "echo", "parameters": {"seconds": -1}}
    assert not Draft202012Validator(echo["request_schema"]).is_valid(invalid)
    assert api.get("/operation-types/nothing").status_code == 404


def test_bars_are_sent_as_the_stored_file(api: APIClient) -> None:
    completed = complete(operation_type="echo")
    file = completed.artifacts.get().file
    MarketData.objects.create(symbol="AAPL", timeframe="1d", file=file, rows=1, start=now(), end=now())
    answer = api.get("/market-data/AAPL/1d/bars")
    assert b"".join(answer.streaming_content) == b'{"rows": 3}'
    assert answer["Content-Disposition"] == 'attachment; filename="AAPL_1d.parquet"'
    assert api.get("/market-data/IBM/1d/bars").status_code == 404
