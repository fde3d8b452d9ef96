"""A fork server of a test's own, without an agent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tests.waiting import until, until_exit
from worker_agent.job.forking.client import ForkedJob, SharedServer
from worker_agent.job.forking.listening_socket import ListeningSocket
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Exit, Work

ROOT = Path(__file__).resolve().parent.parent.parent


class NoParameters(BaseModel):
    """Of a job that needs none."""


@dataclass(slots=True)
class Job:
    child: ForkedJob
    pipe: Connection
    directory: Path

    def outcome(self) -> dict[str, Any]:
        """Read all messages of the job and return the last one."""
        while True:
            message: dict[str, Any] = json.loads(self.pipe.recv_bytes())
            if message["kind"] == "end":
                return message

    def abandon(self) -> None:
        """Close everything, as the kernel does when an agent is killed."""
        self.child.connection.close()
        self.pipe.close()

    def exit(self) -> Exit:
        exit_ = self.child.wait(60)
        assert exit_ is not None, "the job does not end"
        self.pipe.close()
        return exit_


@dataclass(slots=True)
class Server:
    socket: ListeningSocket
    process: subprocess.Popen[bytes]
    log_path: Path
    directory: Path
    jobs: int = 0

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def until_logged(self, text: str) -> None:
        until(lambda: text in self.log, f"the server logs {text!r}", 60, lambda: self.log)

    def launch(
        self,
        run: Callable[..., Any],
        parameters: dict[str, Any] | None = None,
        model: type[BaseModel] = NoParameters,
        inputs: dict[str, Path] | None = None,
    ) -> Job:
        self.jobs += 1
        directory = self.directory / f"job-{self.jobs}"
        directory.mkdir()
        assignment = Assignment(f"op-{self.jobs}", 1, parameters or {}, directory, inputs or {}, None)
        child, pipe = SharedServer(self.socket.path).launch(Work(run, object, model), assignment)
        return Job(child, pipe, directory)


@contextmanager
def fork_server(directory: Path, preload: Sequence[str] = (), warm_up: str = "") -> Iterator[Server]:
    """Start the server of one agent."""
    options = (f"--preload={','.join(preload)}", f"--warm-up={warm_up}")
    with running_server("worker_agent.job.forking.server", options, directory) as server:
        yield server


@contextmanager
def running_server(module: str, options: Sequence[str], directory: Path) -> Iterator[Server]:
    """Start a module that is a fork server."""
    home = directory / "socket"
    home.mkdir(mode=0o700)
    socket = ListeningSocket(home)
    descriptor = socket.listener.fileno()
    log_path = directory / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", module, f"--listener={descriptor}", f"--parent={os.getpid()}", *options,
            ],
            cwd=ROOT, stdout=log, stderr=log, pass_fds=[descriptor], start_new_session=True,
        )  # fmt: skip
    try:
        yield Server(socket, process, log_path, directory)
    finally:
        process.send_signal(signal.SIGKILL)
        until_exit(process, 10)
        socket.close()
