"""One operation at a time, each accepted once, and only from the backend."""

import asyncio
import io

import aiohttp
import pytest

from tests.agent.conftest import RunningAgent
from worker_agent.protocol import CheckpointRef, Outcome
from worker_agent.testing import FakeBackend


async def test_of_simultaneous_starts_one_is_accepted_and_the_others_learn_which(
    agent: RunningAgent, backend: FakeBackend
):
    """lesson W29"""
    worker = await agent.start()
    responses = await asyncio.gather(
        *(backend.start(worker, f"op-{number}", {"until_cancelled": True}) for number in range(8))
    )
    accepted = [body["operation_id"] for status, body in responses if status == 200]
    refused = [body["current_operation"] for status, body in responses if status == 503]
    assert len(accepted) == 1
    assert refused == accepted * 7
    await agent.wait_until_started()
    status, _ = await backend.ask(worker, "DELETE", f"/api/v1/operations/{accepted[0]}/cancel")
    assert status == 202
    await backend.report_of(accepted[0])
    assert [mark[0] for mark in agent.marks] == ["started", "finished"]


async def test_a_repeated_start_is_accepted_again_and_runs_once(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    first = await backend.start(worker, "op", {"until_cancelled": True})
    await agent.wait_until_started()
    assert await backend.start(worker, "op", {"until_cancelled": True}) == first
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    await backend.report_of("op")
    assert await backend.start(worker, "op") == first, "also after the operation ended"
    assert [mark[0] for mark in agent.marks] == ["started", "finished"]


async def test_an_older_attempt_is_refused(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", attempt=3)
    await backend.report_of("op")
    status, body = await backend.start(worker, "op", attempt=2)
    assert status == 409
    assert "attempt 3" in body["detail"]


async def test_inputs_and_the_checkpoint_are_downloaded(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    inputs = (backend.keep("bars/A.txt", b"of A"), backend.keep("bars/B.txt", b"of B"))
    await backend.start(worker, "first", {"until_cancelled": True}, inputs=inputs)
    await agent.wait_until_started()
    await backend.ask(worker, "DELETE", "/api/v1/operations/first/cancel")
    await backend.report_of("first")
    _, checkpoint = backend.checkpoints[-1]
    await backend.start(
        worker, "first", attempt=2, inputs=inputs,
        resume_from=CheckpointRef(attempt=checkpoint.attempt, step=checkpoint.step, files=checkpoint.files),
    )  # fmt: skip
    await backend.until(lambda: len(backend.reports_of("first")) == 2)
    report = await backend.report_of("first")
    assert report.result == {
        "attempt": 2,
        "inputs": {"bars/A.txt": "of A", "bars/B.txt": "of B"},
        "resumed": "seven",
    }


async def test_an_input_with_a_wrong_checksum_fails_the_operation(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    bars = backend.keep("bars/A.txt", b"of A")
    backend.files[bars.sha256] = b"of B"
    await backend.start(worker, "op", inputs=(bars,))
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert "does not match its SHA-256" in report.error.message
    assert agent.marks == []


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"<html>", 400, "not JSON"),
        (b'{"task_id": "../../etc", "attempt": 1}', 422, "/task_id"),
        (b'{"task_id": "op", "attempt": 0}', 422, "/attempt"),
        (b'{"task_id": "op", "parameters": {"points": NaN}}', 422, "points"),
        (b'{"task_id": "op", "parameters": {"colour": "red"}}', 422, "/colour"),
        (b'{"task_id": "op", "points": "many"}', 422, "/points"),
    ],
)
async def test_an_invalid_request_gets_a_pointer_to_the_error(
    agent: RunningAgent, backend: FakeBackend, body: bytes, status: int, detail: str
):
    worker = await agent.start()
    headers = {"Authorization": f"Bearer backend-{worker.instance_id}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{worker.endpoint_url}/work/start", data=body) as response,
    ):
        assert response.status == status
        assert detail in await response.text()
    assert agent.marks == []


async def test_only_the_backend_has_access(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    async with aiohttp.ClientSession() as http:
        for token in ("", "backend-of-another", "é", agent.backend.enrolment_token):
            headers = {"Authorization": f"Bearer {token}"}
            async with http.post(
                f"{worker.endpoint_url}/work/start", data=b"{}", headers=headers
            ) as response:
                assert response.status == 401
        async with http.get(f"{worker.endpoint_url}/health") as response:
            assert await response.json() == {"status": "idle"}, "strangers get only the status"


async def test_a_huge_request_is_refused(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    headers = {"Authorization": f"Bearer backend-{worker.instance_id}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{worker.endpoint_url}/work/start", data=io.BytesIO(b"x" * (17 * 1024**2))) as response,
    ):
        assert response.status == 413
    status, health = await backend.ask(worker, "GET", "/health")
    assert (status, health["status"]) == (200, "idle")
