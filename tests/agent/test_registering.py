"""An agent tries to register until it succeeds, and again when the backend has forgotten it."""

import asyncio
import socket

import pytest
from aiohttp import web
from pydantic import BaseModel

from tests.agent.conftest import RunningAgent
from worker_agent.backend import client as client_module
from worker_agent.backend.backoff import jitter
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError
from worker_agent.base import WorkerAPIBase
from worker_agent.protocol import Deregistration, RunningOperation
from worker_agent.testing import FakeBackend, hang, lose_answer, lose_request, status


async def test_it_announces_its_type_capabilities_and_operations(agent: RunningAgent):
    worker = await agent.start()
    assert worker.worker_id == "tester"
    assert worker.worker_type == "working"
    assert worker.capabilities["speciality"] == "tests"
    assert worker.capabilities["gpu"] is False or worker.capabilities["gpu_count"]
    operation_type = worker.operation_types[0]
    assert (operation_type.operation_type, operation_type.start_path) == ("working", "/work/start")
    assert "until_cancelled" in operation_type.parameters_schema["properties"]


def test_the_docstring_of_the_worker_describes_its_type_unless_the_parameters_have_one():
    class Plain(BaseModel):
        count: int = 1

    class Told(Plain):
        """What the numbers mean."""

    class Counter(WorkerAPIBase):
        """Counts up.

        Further text.
        """

        worker_type = operation_type = "counter"
        start_path = "/counter/start"
        Parameters = Plain

    class Undescribed(Counter):
        Parameters = Told

    class Silent(Counter):
        pass

    descriptions = [
        worker.specs()[0].to_message().parameters_schema.get("description")
        for worker in (Counter, Undescribed, Silent)
    ]
    assert descriptions == ["Counts up.", "What the numbers mean.", None]


async def test_it_retries_after_every_kind_of_failure(agent: RunningAgent, backend: FakeBackend):
    backend.instead["register"].extend([status(500), lose_request, status(200, "<html>"), lose_answer])
    agent.launch()
    await backend.worker("tester", times=2)
    assert backend.registrations[0] == backend.registrations[1], "repeated, because the response was lost"


async def test_a_wrong_token_is_logged_once_and_retried(agent: RunningAgent, backend: FakeBackend):
    agent.launch(KTRDR_WORKER_TOKEN="of-another-backend")
    await backend.until(lambda: backend.count("register") >= 3)
    assert backend.registrations == []
    assert agent.log.count("does not accept the enrolment token") == 1


async def test_a_redirect_to_https_is_logged_with_the_setting_to_change(
    agent: RunningAgent, backend: FakeBackend
):
    async def to_https(*_: object) -> web.Response:
        location = "https://ktrdr.example.org/workers/register"
        return web.Response(status=301, headers={"Location": location})

    backend.instead["register"].append(to_https)
    agent.launch()
    await backend.worker("tester")
    assert "cannot register yet: the backend redirects to https://ktrdr.example.org, and" in agent.log
    assert "set KTRDR_API_URL" in agent.log


async def test_it_registers_again_when_the_backend_is_silent(agent: RunningAgent, backend: FakeBackend):
    """The fake backend makes no health checks; after three intervals the agent registers again."""
    backend.health_interval_s = 0.5
    first = await agent.start()
    second = await backend.worker("tester", times=2)
    assert second.instance_id == first.instance_id


async def test_a_busy_agent_announces_its_operation_and_stops_it_on_request(
    agent: RunningAgent, backend: FakeBackend
):
    """lesson W32"""
    backend.health_interval_s = 0.5
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.wait_until_started()
    backend.stop_at_registration = (RunningOperation(operation_id="op", attempt=1),)
    await backend.until(lambda: backend.registrations[-1].current_operation is not None)
    assert backend.registrations[-1].current_operation == RunningOperation(operation_id="op", attempt=1)
    assert (await backend.report_of("op")).outcome == "cancelled"


async def test_it_starts_before_the_backend(agent: RunningAgent, backend: FakeBackend):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unreachable = f"http://127.0.0.1:{closed.getsockname()[1]}"
    real, backend.url = backend.url, unreachable
    agent.launch()
    backend.url = real
    assert agent.process is not None
    while "cannot register yet" not in agent.log:
        assert agent.process.poll() is None
        await asyncio.sleep(0.02)
    assert await agent.end() == 0


def test_pauses_have_full_jitter():
    """lesson W17"""
    pauses = [jitter(3, 1.0, 60.0) for _ in range(2000)]
    assert min(pauses) < 0.5
    assert 7.5 < max(pauses) <= 8.0
    assert 3.5 < sum(pauses) / len(pauses) < 4.5
    assert max(jitter(50, 1.0, 60.0) for _ in range(100)) <= 60.0


async def test_a_call_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch, backend: FakeBackend):
    """lesson W18"""
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_S", 0.2)
    backend.instead["deregister"].append(hang)
    async with BackendClient(backend.url, "token") as client:
        with pytest.raises(BackendError, match="deregister"):
            await client.deregister(Deregistration(worker_id="a", instance_id="b"))


async def test_a_warning_of_the_backend_is_logged_once(agent: RunningAgent, backend: FakeBackend):
    backend.health_interval_s = 0.5
    backend.warning = "protocol 1 is too old, upgrade the worker"
    await agent.start()
    await backend.worker("tester", times=3)
    assert agent.log.count(backend.warning) == 1


def test_a_worker_without_parameters_announces_that_it_takes_none() -> None:
    class Plain(WorkerAPIBase):
        worker_type = operation_type = "plain"
        start_path = "/plain/start"

    (message,) = [spec.to_message() for spec in Plain.specs()]
    assert message.parameters_schema["additionalProperties"] is False
    assert not message.parameters_schema["properties"]
    assert message.result_schema is None
