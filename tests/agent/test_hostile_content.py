"""A job that reports what cannot be stored keeps its work, and harms neither the agent nor the backend."""

import json

import pytest

from tests.agent.conftest import RunningAgent
from worker_agent.protocol import ErrorClass, Outcome
from worker_agent.testing import FakeBackend, status


async def test_a_job_that_reports_hostile_content_completes_with_all_of_it(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"hostile": True})
    report = await backend.report_of("op")
    assert report.outcome is Outcome.COMPLETED, report.error
    result = dict(report.result or {})
    assert result.pop("object")
    assert result == {
        "nul\\x00": "a\\x00b",
        "nan": None,
        "surrogate": "caf\\udce9.csv",
        "big": str(2**80),
        "1": {"set": [1]},
    }
    assert {ref.name for ref in report.artifacts} == {"a_b.txt", "u_x00.csv"}
    names = [point.name for point in report.metrics]
    assert names[:3] == ["a\\x00b", "a\\udc80b", "x" * 96 + " ..."]
    assert [point.step for point in report.metrics if point.name == "steps"] == [2**63 - 1, -(2**63)]
    log = [line.message for line in report.logs]
    assert "a\\x00b" in log
    assert any("a_b.txt" in line for line in log), "the changed name is noted"
    assert any("/nan is nan" in line for line in log), "the changed value is noted with its key"


async def test_the_agent_runs_the_next_operation_after_hostile_content(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"hostile": True})
    await backend.report_of("op")
    await backend.start(worker, "next")
    assert (await backend.report_of("next")).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("refusal", [400, 413, 422])
async def test_a_report_that_the_backend_refuses_becomes_a_failure_with_its_reason(
    agent: RunningAgent, backend: FakeBackend, refusal: int
):
    worker = await agent.start()
    backend.instead["report"].append(status(refusal, json.dumps({"detail": "/result/x cannot be stored"})))
    await backend.start(worker, "op")
    await backend.until(lambda: bool(backend.reports_of("op")))
    report = backend.reports_of("op")[-1]
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert report.error.error_class is ErrorClass.JOB
    assert "/result/x cannot be stored" in report.error.message
