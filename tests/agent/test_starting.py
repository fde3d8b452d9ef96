"""One operation at a time, each accepted once, by the backend's word alone."""

import asyncio
import io

import aiohttp
import pytest

from tests.agent.conftest import Running
from worker_agent.protocol import Outcome
from worker_agent.testing import FakeBackend


async def test_of_many_starts_at_once_one_is_accepted_and_the_others_hear_what_runs(
    agent: Running, backend: FakeBackend
):
    """lesson W29"""
    worker = await agent.start()
    answers = await asyncio.gather(
        *(backend.start(worker, f"op-{number}", {"until_cancelled": True}) for number in range(8))
    )
    accepted = [body["operation_id"] for status, body in answers if status == 200]
    refused = [body["current_operation"] for status, body in answers if status == 503]
    assert len(accepted) == 1
    assert refused == accepted * 7
    await agent.has_begun()
    status, _ = await backend.ask(worker, "DELETE", f"/api/v1/operations/{accepted[0]}/cancel")
    assert status == 202
    await backend.report_of(accepted[0])
    assert [mark[0] for mark in agent.marks] == ["begun", "ended"]


async def test_a_start_that_comes_twice_is_accepted_twice_and_runs_once(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    first = await backend.start(worker, "op", {"until_cancelled": True})
    await agent.has_begun()
    assert await backend.start(worker, "op", {"until_cancelled": True}) == first
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    await backend.report_of("op")
    assert await backend.start(worker, "op") == first, "also after its end"
    assert [mark[0] for mark in agent.marks] == ["begun", "ended"]


async def test_an_older_attempt_is_refused(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", attempt=3)
    await backend.report_of("op")
    status, body = await backend.start(worker, "op", attempt=2)
    assert status == 409
    assert "attempt 3" in body["detail"]


async def test_inputs_and_the_checkpoint_come_by_their_content(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    inputs = (backend.keep("bars/A.txt", b"of A"), backend.keep("bars/B.txt", b"of B"))
    await backend.start(worker, "first", {"until_cancelled": True}, inputs=inputs)
    await agent.has_begun()
    await backend.ask(worker, "DELETE", "/api/v1/operations/first/cancel")
    await backend.report_of("first")
    _, kept = backend.checkpoints[-1]
    await backend.start(
        worker, "first", attempt=2, inputs=inputs,
        resume_from={"attempt": kept.attempt, "step": kept.step, "files": [f.model_dump() for f in kept.files]},
    )  # fmt: skip
    await backend.until(lambda: len(backend.reports_of("first")) == 2)
    report = await backend.report_of("first")
    assert report.result == {
        "attempt": 2,
        "inputs": {"bars/A.txt": "of A", "bars/B.txt": "of B"},
        "resumed": "seven",
    }


async def test_an_input_with_another_content_fails_the_operation(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    wanted = backend.keep("bars/A.txt", b"of A")
    backend.files[wanted.sha256] = b"of B"
    await backend.start(worker, "op", inputs=(wanted,))
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert "does not match its SHA-256" in report.error.message
    assert agent.marks == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"<html>", 400, "not JSON"),
        (b'{"task_id": "../../etc", "attempt": 1}', 422, "/task_id"),
        (b'{"task_id": "op", "attempt": 0}', 422, "/attempt"),
        (b'{"task_id": "op", "parameters": {"points": NaN}}', 422, "points"),
        (b'{"task_id": "op", "parameters": {"colour": "red"}}', 422, "/colour"),
        (b'{"task_id": "op", "points": "many"}', 422, "/points"),
    ],
)
async def test_a_request_that_makes_no_sense_is_told_where(
    agent: Running, backend: FakeBackend, body: bytes, status: int, says: str
):
    worker = await agent.start()
    headers = {"Authorization": f"Bearer backend-{worker.instance_id}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{worker.endpoint_url}/work/start", data=body) as answer,
    ):
        assert answer.status == status
        assert says in await answer.text()
    assert agent.marks == []


async def test_only_the_backend_may_ask(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    async with aiohttp.ClientSession() as http:
        for token in ("", "backend-of-another", "é", agent.backend.enrolment_token):
            headers = {"Authorization": f"Bearer {token}"}
            async with http.post(f"{worker.endpoint_url}/work/start", data=b"{}", headers=headers) as answer:
                assert answer.status == 401
        async with http.get(f"{worker.endpoint_url}/health") as answer:
            assert await answer.json() == {"status": "idle"}, "strangers learn no more"


async def test_a_huge_request_is_refused(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    headers = {"Authorization": f"Bearer backend-{worker.instance_id}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{worker.endpoint_url}/work/start", data=io.BytesIO(b"x" * (17 * 1024**2))) as answer,
    ):
        assert answer.status == 413
    status, health = await backend.ask(worker, "GET", "/health")
    assert (status, health["status"]) == (200, "idle")
