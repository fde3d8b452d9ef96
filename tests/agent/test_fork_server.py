"""Jobs are forked from a server: early ones too, only for this user, and they end with the agent, keeper or server."""

import gc
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ConfigDict

from tests.agent.fork_servers import Job, NoParameters, Server, fork_server
from tests.agent.forked_work import LAST_MODULE, SLOW_MODULE, WARM_FILE, has_last_module, patient, quick
from tests.waiting import until, until_exit, until_gone
from worker_agent.job.forking import messages
from worker_agent.job.forking.client import SharedServer
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are spawned")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with fork_server(tmp_path_factory.mktemp("fork-server"), ("tests.agent.forked_work",)) as running:
        yield running


def grandchild_of(job: Job) -> psutil.Process:
    path = job.directory / "grandchild"
    until(lambda: path.exists() and path.read_text(), "the job has started a process")
    return psutil.Process(int(path.read_text()))


def test_a_job_gets_a_process_of_its_own_and_the_output_of_its_agent(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = [server.launch(quick) for _ in range(3)]
    results = [job.outcome()["result"] for job in jobs]
    assert [result["pid"] for result in results] == [job.child.pid for job in jobs]
    assert [job.exit().code for job in jobs] == [0, 0, 0]
    assert capfd.readouterr().out.count("printed by the job") == 3
    parents = {result["parent"] for result in results}
    assert len(parents) == 3, "each job has a keeper"
    assert server.process.pid not in parents
    assert {tuple(result["collect_after"]) for result in results} == {gc.get_threshold()}


class Strict(NoParameters):
    model_config = ConfigDict(extra="forbid")


class CannotBeReceived:
    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, ("a_module_that_does_not_exist",)


@pytest.mark.parametrize("fault", ["folder", "class", "parameters"])
def test_a_job_that_fails_before_its_work_reports_the_reason(
    server: Server, tmp_path: Path, fault: str
) -> None:
    directory = tmp_path / "missing" if fault == "folder" else tmp_path
    worker_class: Any = CannotBeReceived() if fault == "class" else object
    assignment = Assignment("op", 1, {"unknown": 1} if fault == "parameters" else {}, directory, {}, None)
    child, pipe = SharedServer(server.socket.path).launch(Work(quick, worker_class, Strict), assignment)
    job = Job(child, pipe, directory)
    outcome = job.outcome()
    assert outcome["outcome"] == "failed"
    named = {"class": "a_module_that_does_not_exist", "parameters": "unknown"}.get(fault, str(directory))
    assert named in outcome["error"]["message"]
    assert "Traceback" in outcome["error"]["traceback"]
    assert job.exit().code == 0


def test_a_job_that_comes_while_the_server_warms_up_is_done_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = tmp_path / "warm"
    monkeypatch.setenv(WARM_FILE, str(warm))
    with fork_server(tmp_path, warm_up="tests.agent.forked_work:slow_steps") as server:
        job = server.launch(quick)
        assert job.outcome()["outcome"] == "completed"
        assert job.exit().code == 0
        assert "fork server is warm" not in server.log
        warm.touch()
        server.until_logged("fork server is warm: threads=1")
        job = server.launch(quick)
        assert job.outcome()["outcome"] == "completed"
        job.exit()


def test_a_job_that_comes_while_modules_are_loaded_waits_and_shares_them(tmp_path: Path) -> None:
    with fork_server(tmp_path, (SLOW_MODULE, LAST_MODULE)) as server:
        server.until_logged("importing a slow module")
        job = server.launch(has_last_module)
        assert job.outcome()["result"] == {"loaded": True}
        assert job.exit().code == 0


@pytest.mark.parametrize(
    ("preload", "warm_up"),
    [(("a_module_that_does_not_exist",), ""), ((), "tests.agent.forked_work:failing_steps")],
    ids=["no such module", "failing step"],
)
def test_a_server_that_cannot_warm_up_still_starts_jobs(
    tmp_path: Path, preload: tuple[str, ...], warm_up: str
) -> None:
    with fork_server(tmp_path, preload, warm_up) as server:
        server.until_logged("warming up")
        job = server.launch(quick)
        assert job.outcome()["outcome"] == "completed"
        assert job.exit().code == 0


def test_what_a_job_leaves_behind_is_killed_and_counted_and_other_jobs_go_on(server: Server) -> None:
    stays, dies = server.launch(patient), server.launch(patient)
    grandchild = grandchild_of(dies)
    os.kill(dies.child.pid, signal.SIGKILL)
    exit_ = dies.exit()
    assert (exit_.code, exit_.left_behind, exit_.server_lost) == (-signal.SIGKILL, 1, False)
    assert not psutil.pid_exists(grandchild.pid)
    assert stays.child.wait(0) is None
    assert grandchild_of(stays).is_running()
    stays.abandon()


def test_a_job_of_an_agent_that_ends_is_killed_with_what_it_has_started(server: Server) -> None:
    job = server.launch(patient)
    family = [psutil.Process(job.child.pid), grandchild_of(job)]
    job.abandon()
    until_gone(family, "the job ends with its agent", 10)


def test_a_killed_keeper_ends_its_job_and_the_agent_learns_that_it_was_not_the_jobs_fault(
    server: Server,
) -> None:
    job, other = server.launch(patient), server.launch(patient)
    family = [psutil.Process(job.child.pid), grandchild_of(job)]
    keeper = family[0].parent()
    assert keeper is not None
    keeper.kill()
    assert job.exit().server_lost
    until_gone(family, "all that the keeper kept ends", 10)
    assert grandchild_of(other).is_running()
    other.abandon()


def test_a_killed_server_ends_all_jobs(tmp_path: Path) -> None:
    with fork_server(tmp_path) as server:
        jobs = [server.launch(patient) for _ in range(2)]
        family = [process for job in jobs for process in (psutil.Process(job.child.pid), grandchild_of(job))]
        server.process.kill()
        assert all(job.exit().server_lost for job in jobs)
        until_gone(family, "the jobs end with their server", 10)


def test_a_server_told_to_end_lets_its_job_finish(tmp_path: Path) -> None:
    with fork_server(tmp_path) as server:
        job = server.launch(patient)
        grandchild_of(job)
        server.process.terminate()
        os.kill(job.child.pid, signal.SIGTERM)
        assert job.exit().code == -signal.SIGTERM, "the keeper was there to report it"
        until(lambda: server.process.poll() is not None, "the server ends after its last job", 10)
        assert server.process.returncode == 0


def test_an_idle_server_ends_in_the_middle_of_a_step(tmp_path: Path) -> None:
    with fork_server(tmp_path, warm_up="tests.agent.forked_work:long_step") as server:
        server.until_logged("in a long step")
        server.process.terminate()
        assert until_exit(server.process, 10) == 0


def test_only_the_owner_may_reach_the_socket(server: Server) -> None:
    assert stat.S_IMODE(server.socket.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.socket.path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_modes_allow_it(tmp_path: Path) -> None:
    with fork_server(tmp_path) as server:
        real = server.socket.path.resolve()
        for path in (real, *real.parents[:-1]):
            path.chmod(0o777)
        code = (
            "import os, socket; os.setuid(65534)\n"
            f"s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect({real.name!r})\n"
            "socket.send_fds(s, [b'job'], [0, 1, 2]); print(s.recv(100))"
        )
        # The whole path may be longer than an address can be.
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=real.parent, capture_output=True, text=True, check=False
        )
        assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr, done.stderr
        server.until_logged("refused a request of another user: uid=65534")


@pytest.mark.parametrize(
    ("content", "descriptors"),
    [(b"job", 0), (b"job", 2), (b"job", 9), (b"x", 3), (b"x" * 100_000, 3), (b"", 0)],
    ids=["none", "too few", "too many", "other word", "long", "nothing"],
)
def test_a_strange_request_is_ignored_and_the_next_job_runs(
    server: Server, content: bytes, descriptors: int
) -> None:
    with socket.socket(socket.AF_UNIX, messages.KIND) as client:
        client.connect(str(server.socket.path))
        if content:
            with suppress(OSError):
                socket.send_fds(client, [content], [2] * descriptors)
            assert client.recv(100) == b""
    job = server.launch(quick)
    assert job.outcome()["outcome"] == "completed"
    job.exit()


def test_silent_clients_hold_nobody_up(server: Server) -> None:
    clients = [socket.socket(socket.AF_UNIX, messages.KIND) for _ in range(20)]
    for client in clients:
        client.connect(str(server.socket.path))
    job = server.launch(quick)
    assert job.outcome()["outcome"] == "completed"
    job.exit()
    for client in clients:
        client.close()
