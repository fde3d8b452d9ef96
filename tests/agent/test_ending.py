"""The backend gets one correct report of every ending, and the processes that the job started end with it."""

import asyncio
import signal
import time

import psutil
import pytest

from tests.agent.conftest import TIMEOUT_S, RunningAgent
from tests.calibration import stretched
from worker_agent.protocol import MAX_TEXT, ErrorClass, Outcome
from worker_agent.testing import FakeBackend

CANCEL = "/api/v1/operations/op/cancel?reason=changed+my+mind"


async def test_a_cooperative_job_is_cancelled_when_it_returns(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True, "artifact": "so far"})
    await agent.wait_until_started()
    await backend.ask(worker, "DELETE", CANCEL)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.CANCELLED
    assert report.error is not None
    assert report.error.message == "changed my mind"
    assert [artifact.name for artifact in report.artifacts] == ["out.txt"]
    assert backend.checkpoints[0][1].step == 7


async def test_an_uncooperative_job_and_its_grandchild_are_killed(agent: RunningAgent, backend: FakeBackend):
    """lessons W22 and W23"""
    backend.cancel_grace_s = 0.3
    worker = await agent.start()
    await backend.start(worker, "op", {"deaf": True, "grandchild": True})
    _, _, job = await agent.wait_for_mark("started")
    _, grandchild = await agent.wait_for_mark("grandchild")
    start = time.monotonic()
    await backend.ask(worker, "DELETE", CANCEL)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.CANCELLED
    assert 0.3 <= time.monotonic() - start < stretched(8), "asked first, then killed"
    assert not psutil.pid_exists(int(job))
    assert not psutil.pid_exists(int(grandchild))


async def test_processes_that_a_finished_job_left_behind_are_ended(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"grandchild": True})
    report = await backend.report_of("op")
    _, grandchild = await agent.wait_for_mark("grandchild")
    assert report.outcome is Outcome.COMPLETED
    assert not psutil.pid_exists(int(grandchild))
    assert any("left behind" in line.message for line in report.logs)


@pytest.mark.parametrize(
    ("parameters", "error_class", "message"),
    [
        ({"fail": "invalid"}, ErrorClass.INVALID, "AAPL has no bars in 1903."),
        ({"fail": "crash"}, ErrorClass.JOB, "RuntimeError: it broke"),
        ({"fail": "long"}, ErrorClass.JOB, "characters cut"),
        ({"fail": "exit"}, ErrorClass.JOB, "exit status 5 and without a result."),
        (
            {"fail": "native"},
            ErrorClass.JOB,
            "status 1 and without a result: libexample: cannot open /dev/shm",
        ),
        ({"fail": "memory"}, ErrorClass.OUT_OF_MEMORY, "MemoryError"),
        ({"die": "SIGSEGV"}, ErrorClass.JOB, "SIGSEGV"),
        ({"die": "SIGKILL"}, ErrorClass.JOB, "SIGKILL"),
    ],
    ids=str,
)
async def test_a_failure_is_reported_with_its_class_and_the_agent_continues(
    agent: RunningAgent,
    backend: FakeBackend,
    parameters: dict[str, str],
    error_class: ErrorClass,
    message: str,
):
    """lessons W11, W24 and W25"""
    worker = await agent.start()
    await backend.start(worker, "op", parameters)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert report.error.error_class is error_class
    assert message in report.error.message
    assert len(report.error.message) <= MAX_TEXT
    assert (await backend.start(worker, "next"))[0] == 200, "the agent is idle once it has reported"
    assert (await backend.report_of("next")).outcome is Outcome.COMPLETED


async def test_the_error_output_of_native_code_is_reported_and_in_the_log_of_the_agent(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"fail": "abort"})
    report = await backend.report_of("op")
    assert report.error is not None
    assert report.error.message == "The job's process was ended by SIGABRT."
    assert report.error.traceback == "free(): invalid pointer"
    assert "free(): invalid pointer\n" in agent.log


async def test_sigterm_takes_a_checkpoint_reports_interrupted_and_deregisters(
    agent: RunningAgent, backend: FakeBackend
):
    """lesson W30"""
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.wait_until_started()
    start = time.monotonic()
    assert await agent.end() == 0
    assert time.monotonic() - start < stretched(8)
    assert backend.checkpoints[0][1].step == 7
    assert [report.outcome for report in backend.reports_of("op")] == [Outcome.INTERRUPTED]
    assert [message.instance_id for message in backend.deregistrations] == [worker.instance_id]


async def test_an_idle_agent_exits_at_once(agent: RunningAgent, backend: FakeBackend):
    await agent.start()
    start = time.monotonic()
    assert await agent.end(signal.SIGINT) == 0
    assert time.monotonic() - start < stretched(3)
    assert len(backend.deregistrations) == 1


async def test_a_job_that_hears_nothing_dies_with_its_agent(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"deaf": True})
    _, _, job = await agent.wait_for_mark("started")
    await agent.end(signal.SIGKILL)
    async with asyncio.timeout(stretched(5)):
        while psutil.pid_exists(int(job)) and psutil.Process(int(job)).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_drained_agent_finishes_accepts_nothing_new_and_exits(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.wait_until_started()
    status, health = await backend.ask(worker, "POST", "/drain")
    assert (status, health["draining"]) == (202, True)
    assert (await backend.start(worker, "another"))[0] == 503
    await backend.ask(worker, "DELETE", CANCEL)
    await backend.report_of("op")
    assert agent.process is not None
    assert await asyncio.to_thread(agent.process.wait, TIMEOUT_S) == 0
    assert len(backend.deregistrations) == 1
