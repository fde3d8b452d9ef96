"""The socket of an agent's own fork server: where it is, and who removes it after a kill."""

import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.agent.conftest import RunningAgent
from tests.agent.fork_servers import ROOT
from worker_agent.job.forking import messages
from worker_agent.job.forking.listening_socket import PREFIX, RUN, SOCKET_NAME, ListeningSocket, open_socket
from worker_agent.protocol import Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are spawned")

KILLED = """
import os, signal, sys
from pathlib import Path
from worker_agent.job.forking.listening_socket import open_socket

listening = open_socket(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
LONG = "a-path-that-is-longer-than-that-of-a-socket-may-be-" * 3
"""More than 107 bytes."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's directory of temporary files, for this process and those that it starts."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


@pytest.fixture(params=["short", "long", "without sockets"])
def parent(request: pytest.FixtureRequest, tmp_path: Path, temporary: Path) -> tuple[Path, Path]:
    """A worker's data directory, and where the directory of its socket belongs."""
    data_dir = tmp_path / (LONG if request.param == "long" else "data")
    data_dir.mkdir()
    if request.param == "without sockets":
        (data_dir / RUN).touch()
        return data_dir, temporary
    return data_dir, data_dir / RUN


def run_until_killed(data_dir: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(data_dir)], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL


def is_reachable(listening: ListeningSocket) -> bool:
    with socket.socket(socket.AF_UNIX, messages.KIND) as connection:
        connection.connect(str(listening.path))
        return True


def test_a_later_start_removes_what_a_killed_agent_left(parent: tuple[Path, Path]) -> None:
    data_dir, directory = parent
    run_until_killed(data_dir)
    (left,) = directory.glob(f"{PREFIX}*")
    listening = open_socket(data_dir)
    (own,) = directory.glob(f"{PREFIX}*")
    assert own != left
    assert is_reachable(listening)
    listening.close()
    assert not list(directory.glob(f"{PREFIX}*"))


def test_nothing_is_removed_that_somebody_uses_or_that_is_not_a_socket_of_an_agent(
    parent: tuple[Path, Path],
) -> None:
    data_dir, directory = parent
    first = open_socket(data_dir)
    (directory / f"{PREFIX}new").mkdir()
    (directory / f"{PREFIX}file").touch()
    other = directory / "ktrdr-other"
    other.mkdir()
    (other / SOCKET_NAME).touch()
    (directory / f"{PREFIX}link").symlink_to(other)
    second = open_socket(data_dir)
    assert is_reachable(first)
    assert is_reachable(second)
    for listening in (first, second):
        listening.close()
    assert {path.name for path in directory.iterdir() if path.name.startswith("ktrdr-")} == {
        f"{PREFIX}new", f"{PREFIX}file", f"{PREFIX}link", "ktrdr-other",
    }  # fmt: skip
    assert (other / SOCKET_NAME).exists()


async def test_a_restarted_agent_runs_operations_and_leaves_nothing_of_the_killed_one(
    agent: RunningAgent, temporary: Path
) -> None:
    agent.directory /= LONG
    agent.directory.mkdir()
    run = agent.directory / "data" / RUN
    registration = await agent.start()
    await agent.backend.start(registration, "op-1", {"until_cancelled": True})
    await agent.wait_until_started()
    await agent.end(signal.SIGKILL)
    (left,) = run.iterdir()
    registration = await agent.start()
    await agent.backend.start(registration, "op-2", {})
    report = await agent.backend.report_of("op-2")
    assert report.outcome == Outcome.COMPLETED
    assert left not in run.iterdir()
    await agent.end()
    assert not list(run.iterdir())
    assert not list(temporary.iterdir())
