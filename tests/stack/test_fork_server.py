"""The jobs of all workers of one machine are forked from one server; a fault of one does not reach the others."""

import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from ktrdr_site.demo.scenario import STRATEGY, TIMEFRAME, TRAINED_ON, TRAINED_UNTIL
from tests.stack.system import ROOT, Up
from tests.waiting import until, until_gone

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are spawned"),
]
STARTS_WITHIN_S = 60
MANY_EPOCHS = 10_000
TRAINERS = ("training-1", "training-2")


@pytest.fixture
def trainings(system: Up) -> Iterator[list[str]]:
    """Two trainings that run until they are cancelled, one at each training worker."""
    text = re.sub(
        r"^( +epochs|    patience): .*$", rf"\1: {MANY_EPOCHS}", (ROOT / STRATEGY).read_text(), flags=re.M
    )
    body = {
        "strategy_yaml": text, "symbols": TRAINED_ON, "timeframes": [TIMEFRAME], "end_date": TRAINED_UNTIL,
    }  # fmt: skip
    with system.http() as http:
        ids = [http.post("/training/start", json=body).json()["operation_id"] for _ in TRAINERS]
        for operation_id in ids:
            until_training(system, operation_id, attempt=1)
        yield ids
        for operation_id in ids:
            http.delete(f"/operations/{operation_id}/cancel")
    for operation_id in ids:
        until(lambda one=operation_id: operation(system, one)["status"] == "CANCELLED", "it is cancelled", 30)
    until(lambda: set(TRAINERS) <= available(system), "the workers are available", 60, lambda: system.output)


def operation(system: Up, operation_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = system.get(f"/operations/{operation_id}")
    return answer


def until_training(system: Up, operation_id: str, attempt: int) -> dict[str, Any]:
    """Wait until the attempt has trained an epoch."""

    def trains() -> dict[str, Any] | None:
        now = operation(system, operation_id)
        ready = (
            now["status"] == "RUNNING" and now["attempt"] == attempt and now["progress"]["steps_completed"]
        )
        return now if ready else None

    now = until(trains, f"attempt {attempt} trains", STARTS_WITHIN_S, lambda: system.output)
    assert now
    return now


def available(system: Up) -> set[str]:
    return {row["worker_id"] for row in system.get("/workers")["results"] if row["status"] == "AVAILABLE"}


def job_processes(system: Up) -> list[psutil.Process]:
    """The processes below the keepers, which are the children of the fork server."""
    jobs = []
    for keeper in system.child("workers.fork_server").children():
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            jobs += keeper.children()
    return jobs


def test_one_server_behind_a_private_socket_forks_all_jobs(system: Up, trainings: list[str]) -> None:
    servers = fork_servers(system)
    assert len(servers) == 1
    assert len(job_processes(system)) == len(trainings)
    assert set(system.agents()) >= set(TRAINERS)
    assert all(not agent.children() for agent in system.agents().values()), "no agent has a server of its own"
    listening = [one for one in servers[0].net_connections("unix") if one.laddr.endswith("jobs.sock")]
    directory = Path(listening[0].laddr).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    token = (system.data_dir / "worker-token").read_text().strip()
    for process in (*servers, *job_processes(system)):
        assert token not in Path(f"/proc/{process.pid}/environ").read_text()


def fork_servers(system: Up) -> list[psutil.Process]:
    """The fork servers, without the processes that they have forked, which have the same command line."""

    def is_one(process: psutil.Process | None) -> bool:
        return process is not None and "workers.fork_server" in " ".join(process.cmdline())

    family = psutil.Process(system.process.pid).children(recursive=True)
    return [process for process in family if is_one(process) and not is_one(process.parent())]


def test_a_killed_server_interrupts_all_jobs_and_a_new_one_starts_them_again(
    system: Up, trainings: list[str]
) -> None:
    jobs = job_processes(system)
    system.child("workers.fork_server").kill()
    until_gone(jobs, "the jobs end with their server", 10)
    for operation_id in trainings:
        again = until_training(system, operation_id, attempt=2)
        assert again["attempts"][0]["outcome"] == "interrupted"
    assert system.process.poll() is None


def test_a_killed_agent_ends_its_own_job_only(system: Up, trainings: list[str]) -> None:
    by_worker = {operation(system, one)["worker_id"]: one for one in trainings}
    assert set(by_worker) == set(TRAINERS)
    before = set(job_processes(system))
    system.child("--worker-id training-1").kill()
    until(lambda: len(before & set(job_processes(system))) == 1, "one job ends", 10)
    other = operation(system, by_worker["training-2"])
    assert (other["status"], other["attempt"]) == ("RUNNING", 1)
    lost = until_training(system, by_worker["training-1"], attempt=2)
    assert lost["attempts"][0]["outcome"] == "lost"
    other = operation(system, by_worker["training-2"])
    assert (other["status"], other["attempt"]) == ("RUNNING", 1)
