"""However a job ends, the backend is told once, and truly; what the job started ends with it."""

import asyncio
import signal
import time

import psutil
import pytest

from tests.agent.conftest import Running
from worker_agent.protocol import MAX_TEXT, ErrorClass, Outcome
from worker_agent.testing import FakeBackend

CANCEL = "/api/v1/operations/op/cancel?reason=changed+my+mind"


async def test_a_job_that_listens_is_cancelled_by_its_own_return(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True, "artifact": "so far"})
    await agent.has_begun()
    await backend.ask(worker, "DELETE", CANCEL)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.CANCELLED
    assert report.error is not None
    assert report.error.message == "changed my mind"
    assert [artifact.name for artifact in report.artifacts] == ["out.txt"]
    assert backend.checkpoints[0][1].step == 7


async def test_a_deaf_job_and_its_grandchild_are_killed(agent: Running, backend: FakeBackend):
    """lessons W22 and W23"""
    worker = await agent.start()
    await backend.start(worker, "op", {"deaf": True, "grandchild": True})
    _, _, job = await agent.marked("begun")
    _, grandchild = await agent.marked("grandchild")
    begun = time.monotonic()
    await backend.ask(worker, "DELETE", CANCEL)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.CANCELLED
    assert 0.3 <= time.monotonic() - begun < 8, "asked first, then ended"
    assert not psutil.pid_exists(int(job))
    assert not psutil.pid_exists(int(grandchild))


async def test_what_a_finished_job_left_behind_is_ended(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"grandchild": True})
    report = await backend.report_of("op")
    _, grandchild = await agent.marked("grandchild")
    assert report.outcome is Outcome.COMPLETED
    assert not psutil.pid_exists(int(grandchild))
    assert any("left behind" in line.message for line in report.logs)


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"fail": "invalid"}, ErrorClass.INVALID, "There are no bars of AAPL in 1903."),
        ({"fail": "crash"}, ErrorClass.JOB, "RuntimeError: it broke"),
        ({"fail": "long"}, ErrorClass.JOB, "characters cut"),
        ({"fail": "exit"}, ErrorClass.JOB, "exit status 5"),
        ({"fail": "memory"}, ErrorClass.OUT_OF_MEMORY, "MemoryError"),
        ({"die": "SIGSEGV"}, ErrorClass.JOB, "SIGSEGV"),
        ({"die": "SIGKILL"}, ErrorClass.JOB, "SIGKILL"),
    ],
    ids=str,
)
async def test_a_failure_is_told_as_what_it_was_and_the_agent_goes_on(
    agent: Running, backend: FakeBackend, parameters: dict[str, str], kind: ErrorClass, says: str
):
    """lessons W11, W24 and W25"""
    worker = await agent.start()
    await backend.start(worker, "op", parameters)
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert report.error.error_class is kind
    assert says in report.error.message
    assert len(report.error.message) <= MAX_TEXT
    assert (await backend.start(worker, "next"))[0] == 200, "who has reported is idle"
    assert (await backend.report_of("next")).outcome is Outcome.COMPLETED


async def test_sigterm_takes_a_checkpoint_reports_interrupted_and_deregisters(
    agent: Running, backend: FakeBackend
):
    """lesson W30"""
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.has_begun()
    begun = time.monotonic()
    assert await agent.end() == 0
    assert time.monotonic() - begun < 8
    assert backend.checkpoints[0][1].step == 7
    assert [report.outcome for report in backend.reports_of("op")] == [Outcome.INTERRUPTED]
    assert [said.instance_id for said in backend.deregistrations] == [worker.instance_id]


async def test_an_idle_agent_leaves_at_once(agent: Running, backend: FakeBackend):
    await agent.start()
    begun = time.monotonic()
    assert await agent.end(signal.SIGINT) == 0
    assert time.monotonic() - begun < 3
    assert len(backend.deregistrations) == 1


async def test_a_job_that_hears_nothing_dies_with_its_agent(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"deaf": True})
    _, _, job = await agent.marked("begun")
    await agent.end(signal.SIGKILL)
    async with asyncio.timeout(5):
        while psutil.pid_exists(int(job)) and psutil.Process(int(job)).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_drained_agent_finishes_takes_nothing_new_and_leaves(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True})
    await agent.has_begun()
    status, health = await backend.ask(worker, "POST", "/drain")
    assert (status, health["draining"]) == (202, True)
    assert (await backend.start(worker, "another"))[0] == 503
    await backend.ask(worker, "DELETE", CANCEL)
    await backend.report_of("op")
    assert agent.process is not None
    assert await asyncio.to_thread(agent.process.wait, 10) == 0
    assert len(backend.deregistrations) == 1
