"""A job dies, by itself, by the kernel's hand, by a person's wish."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.system import System
from tests.waiting import until, until_gone

GROUPS = Path("/sys/fs/cgroup/memory")
MEGABYTE = 1024**2


def test_a_job_that_is_killed_fails_with_the_signals_name_and_its_worker_takes_the_next(
    system: System,
) -> None:
    """Lessons W11, W24, W25."""
    killed = system.api.submit(seconds=20, ends="FAILED")
    worker_id = system.api.until_running(killed)["worker_id"]
    system.job(worker_id, killed).kill()
    failed = system.api.until_status(killed, "FAILED")
    assert failed["error"]["class"] == "job"
    assert "SIGKILL" in failed["error"]["message"]
    system.until_available(worker_id)
    following = [system.api.submit(seconds=0.1) for _ in range(4)]
    for operation_id in following:
        system.api.until_status(operation_id, "COMPLETED")


def test_a_job_that_dies_of_its_own_signal_fails_and_is_not_tried_again(system: System) -> None:
    operation = system.api.submit(seconds=0.4, die="SIGSEGV", ends="FAILED")
    failed = system.api.until_status(operation, "FAILED")
    assert "SIGSEGV" in failed["error"]["message"]
    assert system.marks.count("start", operation) == 1


def test_a_cancel_ends_a_job_that_ignores_it_and_what_it_started_in_another_session(system: System) -> None:
    """Lessons W22, W23."""
    operation = system.api.submit(seconds=30, stubborn=True, grandchild=True)
    worker_id = system.api.until_running(operation)["worker_id"]
    job = system.job(worker_id, operation)
    mark = until(lambda: system.marks.all("grandchild", operation), "the grandchild runs")[0]
    grandchild = psutil.Process(int(mark.rest[0]))
    assert system.api.cancel(operation) == 202
    system.api.until_status(operation, "CANCELLED")
    until_gone([job, grandchild], "the job and its grandchild end", 5)
    system.until_available(worker_id)


def test_a_job_that_outgrows_its_own_limit_fails_as_out_of_memory(system: System) -> None:
    operation = system.api.submit(
        seconds=0.2, eat_bytes=2048 * MEGABYTE, limit_bytes=1024 * MEGABYTE, ends="FAILED"
    )
    assert system.api.until_status(operation, "FAILED")["error"]["class"] == "out_of_memory"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 300 MB."""
    group = GROUPS / f"ktrdr-faults-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(300 * MEGABYTE))
    except OSError as error:
        pytest.skip(f"needs a memory control group that this user may make: {error}")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty", 10)
    group.rmdir()


def test_a_job_that_the_kernel_kills_for_memory_fails_as_out_of_memory_and_its_agent_lives(
    system: System, small_group: Path
) -> None:
    """Lesson W25: on the kernel's word, not on the signal alone."""
    for process in system.processes.tree("agent-1"):
        (small_group / "cgroup.procs").write_text(str(process.pid))
    for name in ("agent-2", "agent-3", "agent-4"):
        system.processes.kill(name, signal.SIGTERM)
    operation = system.api.submit(seconds=0.4, eat_bytes=1024 * MEGABYTE, ends="FAILED")
    failed = system.api.until_status(operation, "FAILED")
    assert failed["error"]["class"] == "out_of_memory", failed["error"]
    following = system.api.submit(seconds=0.1)
    assert system.api.until_status(following, "COMPLETED")["worker_id"] == "agent-1"
    system.processes.kill("agent-1", signal.SIGTERM)
