"""No result is lost between the worker and the backend."""

import signal

import psutil

from tests.agent.conftest import RunningAgent
from worker_agent.protocol import Outcome
from worker_agent.testing import FakeBackend, lose_answer, lose_request, status


async def test_a_report_is_delivered_after_an_outage(agent: RunningAgent, backend: FakeBackend):
    """lesson W16"""
    worker = await agent.start()
    backend.instead["report"].extend(
        [lose_request, status(500), status(502, "<html>bad gateway"), status(429)]
    )
    await backend.start(worker, "op", {"artifact": "result"})
    report = await backend.report_of("op")
    assert report.outcome is Outcome.COMPLETED
    assert backend.files[report.artifacts[0].sha256] == b"result"
    assert backend.count("report") == 5


async def test_a_report_is_repeated_when_its_acknowledgement_is_lost(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    backend.instead["report"].append(lose_answer)
    await backend.start(worker, "op")
    await backend.until(lambda: len(backend.reports_of("op")) == 2)
    first, second = backend.reports_of("op")
    assert first == second


async def test_an_unacknowledged_report_survives_a_restart_of_the_agent(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    backend.instead["report"].extend([status(503)] * 1000)
    await backend.start(worker, "op", {"points": 3})
    await backend.until(lambda: backend.count("report") >= 1)
    await agent.end(signal.SIGKILL)
    restarted = await agent.start()
    assert [finished.operation_id for finished in restarted.completed_operations] == ["op"]
    report = restarted.completed_operations[0].report
    assert report.outcome is Outcome.COMPLETED
    assert report.instance_id == worker.instance_id != restarted.instance_id
    assert len(report.metrics) == 3
    assert len(report.logs) == 3


async def test_after_a_rejected_token_it_registers_again_and_delivers_the_report(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    backend.tokens.clear()
    await backend.start(worker, "op")
    assert (await backend.report_of("op")).outcome is Outcome.COMPLETED
    assert len(backend.registrations) == 2


async def test_a_report_of_an_outdated_attempt_is_dropped(agent: RunningAgent, backend: FakeBackend):
    """lesson W9"""
    worker = await agent.start()
    backend.instead["report"].append(status(409, "outdated attempt"))
    await backend.start(worker, "op")
    await backend.until(lambda: backend.count("report") == 1)
    await backend.start(worker, "next")
    await backend.report_of("next")
    assert backend.reports_of("op") == []


async def test_pulled_metrics_and_logs_are_not_reported_again(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"points": 5, "until_cancelled": True})
    await agent.wait_until_started()
    pulled: list[dict[str, object]] = []
    while len(pulled) < 5:
        cursor = pulled[-1]["seq"] if pulled else 0
        _, page = await backend.ask(worker, "GET", f"/api/v1/operations/op/metrics?cursor={cursor}")
        pulled += page["results"]
    await backend.ask(worker, "GET", "/api/v1/operations/op/metrics?cursor=5")
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    report = await backend.report_of("op")
    assert [point["step"] for point in pulled] == [0, 1, 2, 3, 4]
    assert report.metrics == ()
    assert len(report.logs) == 5


async def test_progress_is_available_while_the_job_runs(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.wait_until_started()
    progress: dict[str, object] = {}
    while progress.get("percentage") != 40.0:
        _, operation = await backend.ask(worker, "GET", "/api/v1/operations/op")
        progress = operation["progress"]
    assert progress["current_step"] == "working"
    assert (progress["steps_completed"], progress["steps_total"]) == (4, 10)
    assert (await backend.ask(worker, "GET", "/api/v1/operations/unknown"))[0] == 404
    assert (await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel?attempt=2"))[0] == 409
    assert (await backend.ask(worker, "GET", "/api/v1/operations/op/logs?cursor=-1"))[0] == 422


async def test_an_idle_agent_uses_little_memory(agent: RunningAgent, backend: FakeBackend):
    await agent.start()
    assert agent.process is not None
    assert psutil.Process(agent.process.pid).memory_info().rss < 80 * 2**20
