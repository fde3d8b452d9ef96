"""An agent announces itself until it is known, and notices when it is not known any more."""

import socket

import pytest
from aiohttp import web

from tests.agent.conftest import Running
from worker_agent.backend import client as client_module
from worker_agent.backend.backoff import jitter
from worker_agent.backend.client import BackendClient, BackendError
from worker_agent.protocol import Deregistration, RunningOperation
from worker_agent.testing import FakeBackend, hang, lose_answer, lose_request, status


async def test_it_says_what_it_is_and_can_do(agent: Running):
    worker = await agent.start()
    assert worker.worker_id == "tester"
    assert worker.worker_type == "working"
    assert worker.capabilities["speciality"] == "tests"
    assert worker.capabilities["gpu"] is False or worker.capabilities["gpu_count"]
    kind = worker.operation_types[0]
    assert (kind.operation_type, kind.start_path) == ("working", "/work/start")
    assert "until_cancelled" in kind.parameters_schema["properties"]


async def test_it_tries_again_whatever_the_backend_does(agent: Running, backend: FakeBackend):
    backend.instead["register"].extend([status(500), lose_request, status(200, "<html>"), lose_answer])
    agent.launch()
    await backend.worker("tester", times=2)
    assert backend.registrations[0] == backend.registrations[1], "the same, since the answer was lost"


async def test_a_wrong_token_is_said_once_and_tried_again(agent: Running, backend: FakeBackend):
    agent.launch(KTRDR_WORKER_TOKEN="of-another-backend")
    await backend.until(lambda: backend.count("register") >= 3)
    assert backend.registrations == []
    assert agent.log.count("does not accept the enrolment token") == 1


async def test_a_backend_that_redirects_to_https_is_said_with_what_to_set(
    agent: Running, backend: FakeBackend
):
    async def to_https(*_: object) -> web.Response:
        location = "https://ktrdr.example.org/workers/register"
        return web.Response(status=301, headers={"Location": location})

    backend.instead["register"].append(to_https)
    agent.launch()
    await backend.worker("tester")
    assert "cannot register yet: the backend redirects to https://ktrdr.example.org, and" in agent.log
    assert "set KTRDR_API_URL" in agent.log


async def test_silence_of_the_backend_makes_it_register_again(agent: Running, backend: FakeBackend):
    """Nobody asks for its health here: after three intervals it has been forgotten."""
    first = await agent.start()
    again = await backend.worker("tester", times=2)
    assert again.instance_id == first.instance_id


async def test_busy_it_says_so_when_it_registers_and_stops_what_does_not_count(
    agent: Running, backend: FakeBackend
):
    """lesson W32"""
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.has_begun()
    backend.stop_at_registration = (RunningOperation(operation_id="op", attempt=1),)
    again = await backend.worker("tester", times=2)
    assert again.current_operation == RunningOperation(operation_id="op", attempt=1)
    assert (await backend.report_of("op")).outcome == "cancelled"


async def test_it_starts_while_the_backend_is_not_there_yet(agent: Running, backend: FakeBackend):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    real, backend.url = backend.url, nobody
    agent.launch()
    backend.url = real
    assert agent.process is not None
    while "cannot register yet" not in agent.log:
        assert agent.process.poll() is None
    assert await agent.end() == 0


def test_pauses_have_full_jitter():
    """lesson W17"""
    pauses = [jitter(3, 1.0, 60.0) for _ in range(2000)]
    assert min(pauses) < 0.5
    assert 7.5 < max(pauses) <= 8.0
    assert 3.5 < sum(pauses) / len(pauses) < 4.5
    assert max(jitter(50, 1.0, 60.0) for _ in range(100)) <= 60.0


async def test_a_call_that_hangs_has_an_end(monkeypatch: pytest.MonkeyPatch, backend: FakeBackend):
    """lesson W18"""
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_S", 0.2)
    backend.instead["deregister"].append(hang)
    async with BackendClient(backend.url, "token") as client:
        with pytest.raises(BackendError, match="deregister"):
            await client.deregister(Deregistration(worker_id="a", instance_id="b"))


async def test_why_it_will_get_no_new_work_is_said_once(agent: Running, backend: FakeBackend):
    backend.warning = "protocol 1 is too old, upgrade the worker"
    await agent.start()
    await backend.worker("tester", times=3)
    assert agent.log.count(backend.warning) == 1
