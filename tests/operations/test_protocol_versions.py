"""Agents of older and newer versions of the protocol, over real sockets: one step apart works, more drains."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from operations.dispatching.dispatcher import Dispatcher
from operations.models import Operation
from operations.waiting import explain_waits
from registry import health
from registry.models import Worker
from registry.protocol_versions import PROVING
from registry.selection import counts, explain
from tests.factories import OperationFactory
from worker_agent import protocol
from worker_agent.testing import StubWorker

pytestmark = pytest.mark.django_db(transaction=True)
OURS = 3


@pytest.fixture(autouse=True)
def _our_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PROTOCOL_VERSION", OURS)


def beside(live_server: Any, version: int, act: Callable[[StubWorker, Dispatcher], Awaitable[Any]]) -> Any:
    """Runs `act` while one agent of this version serves and is registered."""

    async def play() -> Any:
        stub = StubWorker(
            "agent-1", live_server.url, settings.WORKER_TOKEN, work_s=0.05, protocol_version=version
        )
        async with stub, Dispatcher() as dispatcher:
            await stub.register()
            if version < PROVING:
                await sync_to_async(health.sweep)()
            return await act(stub, dispatcher)

    return async_to_sync(play)()


async def dispatch(dispatcher: Dispatcher) -> None:
    await dispatcher.round()
    await dispatcher.drain()


async def stored_version(operation: Operation) -> Operation:
    await sync_to_async(operation.refresh_from_db)()
    return operation


@pytest.mark.parametrize("version", [OURS - 1, OURS, OURS + 1], ids=["one behind", "ours", "one ahead"])
def test_an_agent_one_step_apart_works(live_server: Any, version: int) -> None:
    operation = OperationFactory(operation_type="noop")

    async def act(stub: StubWorker, dispatcher: Dispatcher) -> None:
        await dispatch(dispatcher)
        assert stub.runs == [(operation.pk, 1)]
        await stub.until(lambda: stub.current is None and not stub.undelivered)
        assert (await stored_version(operation)).status == "COMPLETED"

    beside(live_server, version, act)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (OURS - 2, "protocol 1 is too old, upgrade the worker"),
        (OURS + 2, "protocol 5 is too new, upgrade the backend"),
    ],
    ids=["two behind", "two ahead"],
)
def test_an_agent_two_steps_apart_is_registered_gets_no_new_work_and_the_reason_is_seen(
    live_server: Any, client: Any, staff: Any, version: int, why: str
) -> None:
    operation = OperationFactory(operation_type="noop")

    async def act(stub: StubWorker, dispatcher: Dispatcher) -> None:
        await dispatch(dispatcher)
        assert stub.runs == []

    beside(live_server, version, act)
    operation.refresh_from_db()
    explain_waits([operation])
    assert (operation.status, operation.waiting_reason) == ("PENDING", f"1 stub worker, {why}")
    assert counts("noop", {})["other_protocol"] == 1
    client.force_login(staff)
    for page in ("/dashboard/workers", "/dashboard/workers/agent-1"):
        assert why in client.get(page).content.decode()


def test_what_an_agent_runs_while_the_backend_is_upgraded_past_it_ends_as_usual_and_is_its_last(
    live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PROTOCOL_VERSION", OURS - 1)
    first, second = OperationFactory(operation_type="noop"), OperationFactory(operation_type="noop")

    async def act(stub: StubWorker, dispatcher: Dispatcher) -> None:
        await dispatch(dispatcher)
        monkeypatch.setattr(protocol, "PROTOCOL_VERSION", OURS)
        await stub.until(lambda: stub.current is None and not stub.undelivered)
        await dispatch(dispatcher)
        assert stub.runs == [(first.pk, 1)]
        assert (await stored_version(first)).status == "COMPLETED"
        assert (await stored_version(second)).status == "PENDING"

    beside(live_server, OURS - 2, act)
    assert explain("noop", {}) == "1 stub worker, protocol 1 is too old, upgrade the worker"


def test_a_registration_is_answered_in_the_older_of_both_versions(live_server: Any) -> None:
    async def act(stub: StubWorker, dispatcher: Dispatcher) -> Any:
        asked = protocol.Registration(
            worker_id="agent-1",
            worker_type="stub",
            endpoint_url=stub.url,
            instance_id=stub.instance_id,
            protocol_version=stub.protocol_version,
            previous_token=stub.client.worker_token,
        )
        return await stub.client.register(asked)

    assert beside(live_server, OURS + 4, act).protocol_version == OURS
    Worker.objects.all().delete()
    answer = beside(live_server, OURS - 2, act)
    assert (answer.protocol_version, answer.warning) == (1, "protocol 1 is too old, upgrade the worker")
