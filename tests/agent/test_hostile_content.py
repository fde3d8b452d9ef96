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


LOG = '"kind": "log", "level": "info", "message": "x"'
FORGED = {
    "not JSON": "{",
    "no object": '"kind"',
    "null": "null",
    "list": '["kind"]',
    "no kind": "{}",
    "time beyond every calendar": f'{{{LOG}, "time": 1e300}}',
    "time of another type": f'{{{LOG}, "time": {{}}}}',
    "infinite time": f'{{{LOG}, "time": Infinity}}',
    "files of another type": '{"kind": "checkpoint", "step": 1, "files": 7}',
    "files as a list": '{"kind": "checkpoint", "step": 1, "files": [["/etc/shadow"]]}',
    "step of another type": '{"kind": "checkpoint", "step": [], "files": {}}',
    "unknown level": '{"kind": "log", "level": [], "message": "x", "time": 1}',
    "progress of another type": '{"kind": "progress", "percentage": {}}',
    "artifact without a path": '{"kind": "artifact", "name": "x"}',
    "end without an outcome": '{"kind": "end"}',
    "end of another type": '{"kind": "end", "cancel_observed": [], "outcome": {}, "result": 7}',
}
REPEATED = {"[": 100_000, "1": 100_000, " ": 17 * 1024**2}
"""Too deep, a number that is too long, a message that is too long."""


async def test_whatever_a_job_writes_into_its_pipe_only_its_own_operation_is_affected(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    messages = {**dict.fromkeys(FORGED.values(), 1), **REPEATED}
    for number, (forged, times) in enumerate(messages.items()):
        await backend.start(worker, f"op-{number}", {"sends": forged, "times": times})
        assert await backend.report_of(f"op-{number}"), "the attempt ends"
    await backend.start(worker, "next")
    assert (await backend.report_of("next")).outcome is Outcome.COMPLETED


async def test_a_path_that_a_job_names_fails_the_operation_with_a_sentence(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"names": "/etc/shadow"})
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert report.error.message.startswith(
        "The result cannot be reported: The job named /etc/shadow, which is not in its folder "
    )
    assert any("/etc/shadow" in line.message for line in report.logs)
