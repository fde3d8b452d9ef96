"""The agent's side of the fork server: find or start the server, and ask it for jobs."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from worker_agent.job.forking import messages
from worker_agent.job.forking.error_output import ErrorOutput
from worker_agent.job.forking.forked_job import send_work
from worker_agent.job.forking.listening_socket import ListeningSocket, open_socket
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Exit, Work

log = logging.getLogger(__name__)

BASE = "worker_agent.base"
"""The module that defines a worker imports it."""
START_TIMEOUT_S = 120.0
"""For a server that is being restarted or is warming up."""
CHECK_S = 1.0
"""Between two checks that the server still runs."""
START_SERVER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from worker_agent.job.forking.server import main; main()"
)
"""The server gets the agent's import path, because the worker's program may have added the folder of this package to it."""
STANDARD_OUTPUT = 1
LOST = Exit(code=255, server_lost=True)


@dataclass(slots=True)
class ForkedJob:
    pid: int
    connection: socket.socket
    errors: ErrorOutput

    def wait(self, timeout_s: float | None) -> Exit | None:
        self.connection.settimeout(timeout_s)
        try:
            message = messages.receive_message(self.connection)
        except (TimeoutError, BlockingIOError):
            return None
        self.connection.close()
        if message is None:
            return LOST
        return Exit(message["code"], message["left_behind"], last_errors=self.errors.last_lines())


@dataclass(slots=True)
class SharedServer:
    """A server that somebody else keeps running, behind the socket at `path`."""

    path: Path
    require_running: Callable[[], None] = lambda: None
    """Raises OSError if nobody will answer a request."""

    def ensure_running(self) -> None:
        """Do nothing. A request waits in the socket's queue while the server is being restarted."""

    def launch(self, work: Work, assignment: Assignment) -> tuple[ForkedJob, Connection]:
        connection = socket.socket(socket.AF_UNIX, messages.KIND)
        connection.settimeout(START_TIMEOUT_S)
        agent_end, job_end = Pipe(duplex=True)
        errors = ErrorOutput()
        try:
            connection.connect(str(self.path))
            with job_end:
                messages.send_request(connection, [job_end.fileno(), STANDARD_OUTPUT, errors.descriptor])
            started = self._receive_start(connection)
            send_work(agent_end, work, assignment)
        except OSError:
            connection.close()
            agent_end.close()
            errors.abandon()
            raise
        errors.start()
        return ForkedJob(started["pid"], connection, errors), agent_end

    def _receive_start(self, connection: socket.socket) -> dict[str, int]:
        """Return the message about the start. Raises OSError."""
        ends = time.monotonic() + START_TIMEOUT_S
        connection.settimeout(CHECK_S)
        while True:
            try:
                started = messages.receive_message(connection)
            except TimeoutError:
                self.require_running()
                if time.monotonic() >= ends:
                    raise
                continue
            if started is None:
                raise ConnectionResetError("the fork server ended before it started the job")
            return started


@dataclass(slots=True)
class OwnServer:
    """A server that this process starts, and starts again after its end."""

    worker_id: str
    """In the lines of its log."""
    data_dir: Path
    preload: tuple[str, ...]
    warm_up: str
    _process: subprocess.Popen[bytes] | None = None
    _socket: ListeningSocket | None = None

    def ensure_running(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            log.warning("fork server ended; restarting it: status=%s", self._process.returncode)
        if self._socket is None:
            self._socket = open_socket(self.data_dir)
        descriptor = self._socket.listener.fileno()
        self._process = subprocess.Popen(  # noqa: S603  (our own command line)
            [
                sys.executable, "-c", START_SERVER, json.dumps(sys.path),
                f"--listener={descriptor}", f"--parent={os.getpid()}", f"--name={self.worker_id}",
                f"--preload={','.join((BASE, *self.preload))}", f"--warm-up={self.warm_up}",
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=[descriptor],
        )  # fmt: skip

    def launch(self, work: Work, assignment: Assignment) -> tuple[ForkedJob, Connection]:
        assert self._socket is not None, "the server has been started"
        return SharedServer(self._socket.path, self._require_running).launch(work, assignment)

    def _require_running(self) -> None:
        if self._process is not None and (status := self._process.poll()) is not None:
            raise ChildProcessError(
                f"the fork server ended with status {status}; the worker's log has the reason"
            )
