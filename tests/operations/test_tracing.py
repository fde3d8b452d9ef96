"""Whoever asks is found in every later line and message: by the request's id, and by its trace."""

import logging
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from rest_framework.test import APIClient

from operations import lifecycle
from operations.actors import Actor
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Operation
from tests.factories import CapabilityFactory, OperationFactory
from tests.operations.scripted_worker import ScriptedWorker
from tests.operations.test_dispatch import due, with_workers, work
from worker_agent.protocol import OperationError
from worker_agent.trace import valid_request_id, valid_traceparent

ME = Actor("user:test")
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
ASKED = {"X-Request-ID": "req-1", "traceparent": TRACEPARENT}
ECHO = {"operation_type": "echo", "parameters": {}}


def said(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The records that structlog passed to the handlers."""
    return [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def submit(api: APIClient, **headers: str) -> Operation:
    CapabilityFactory()
    answer = api.post("/operations", ECHO, headers=headers)
    assert answer.status_code == 202, answer.content
    assert valid_request_id(answer["X-Request-ID"])
    return Operation.objects.get(pk=answer.json()["operation_id"])


@pytest.mark.django_db
def test_an_operation_keeps_the_request_and_the_trace_that_asked_for_it(api: APIClient) -> None:
    operation = submit(api, **ASKED)
    assert (operation.request_id, operation.traceparent) == ("req-1", TRACEPARENT)
    shown = api.get(f"/operations/{operation.pk}").json()
    assert (shown["request_id"], shown["traceparent"]) == ("req-1", TRACEPARENT)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Request-ID": "", "traceparent": ""},
        {"X-Request-ID": "two words", "traceparent": "00-not-one"},
        {"X-Request-ID": "x" * 5000, "traceparent": "y" * 5000},
        {"X-Request-ID": "é", "traceparent": f"ff-{TRACE_ID}-00f067aa0ba902b7-01"},
    ],
)
def test_what_is_unusable_is_replaced_and_refuses_nothing(api: APIClient, headers: dict[str, str]) -> None:
    operation = submit(api, **headers)
    assert valid_request_id(operation.request_id) == operation.request_id
    assert valid_traceparent(operation.traceparent) == operation.traceparent


@pytest.mark.django_db
def test_a_problem_names_the_request_that_the_caller_named(api: APIClient) -> None:
    answer = api.get("/operations/nobody", headers=ASKED)
    assert (answer.json()["request_id"], answer["X-Request-ID"]) == ("req-1", "req-1")


@pytest.mark.django_db
def test_a_retry_belongs_to_the_request_that_asked_for_it(api: APIClient) -> None:
    operation = submit(api, **ASKED)
    lifecycle.fail(operation, OperationError(error_class="job", message="no"), ME)
    again = f"00-{'a' * 32}-{'b' * 16}-00"
    api.post(f"/operations/{operation.pk}/retry", headers={"X-Request-ID": "req-2", "traceparent": again})
    operation.refresh_from_db()
    assert (operation.request_id, operation.traceparent) == ("req-2", again)


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_sent_both_and_each_line_on_the_way_has_them(
    api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operation = submit(api, **ASKED)

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        (start,) = worker.started
        assert (start["request_id"], start["traceparent"]) == ("req-1", TRACEPARENT)
        worker.runs.clear()
        await work(dispatcher)

    with_workers(1, act)
    due()
    async_to_sync(_round)()
    about = [line for line in said(caplog) if line.get("operation_id") == operation.pk]
    assert [line["event"] for line in about] == [
        "operation PENDING", "operation DISPATCHING", "operation RUNNING", "worker unreachable",
    ]  # fmt: skip
    assert {(line["request_id"], line["trace_id"]) for line in about} == {("req-1", TRACE_ID)}
    operation.refresh_from_db()
    assert {(line["attempt"], line["worker_id"]) for line in about[1:]} == {(1, operation.worker_id)}


async def _round() -> None:
    async with Dispatcher() as dispatcher:
        await work(dispatcher)


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_said(api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    CapabilityFactory()
    assert api.post("/operations", {**ECHO, "queue": False}).status_code == 503
    assert [line for line in said(caplog) if line["event"].startswith("operation ")] == []


@pytest.mark.django_db(transaction=True)
def test_a_line_about_another_operation_does_not_inherit_its_attempt_or_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    first = OperationFactory()
    follower = OperationFactory(after=[first])

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        async def refuse(_: Any) -> Any:
            from aiohttp import web

            return web.json_response({"detail": "no"}, status=422)

        worker.on_start = refuse
        await work(dispatcher)

    with_workers(1, act)
    (line,) = [line for line in said(caplog) if line.get("operation_id") == follower.pk]
    assert (line["event"], line["attempt"], line["worker_id"]) == ("operation FAILED", None, None)
