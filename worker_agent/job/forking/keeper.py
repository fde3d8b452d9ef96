"""The parent of one job's process: reports its end, and ends it with everything that it has started."""

import logging
import multiprocessing
import os
import select
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from worker_agent.job import linux, process_tree
from worker_agent.job.forking import forked_job, messages
from worker_agent.job.forking.wake_up import WakeUp
from worker_agent.job.user import JobUser, UnusableJobUser, job_user

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
SERVER_ENDED = signal.SIGUSR1
"""Sent by the kernel. SIGTERM may come to all processes of a service, and is then handled by the agent."""


def keep(connection: socket.socket, server: int) -> int:
    """Start the job that the connection asks for and stay until it has ended. Returns the exit status of the keeper."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    linux.adopt_orphans()
    with WakeUp(signal.SIGCHLD, SERVER_ENDED) as wake_up:
        linux.die_with_parent(server, SERVER_ENDED)
        connection.settimeout(REQUEST_TIMEOUT_S)
        try:
            pipe, *streams = messages.receive_request(connection)
            user = job_user()
        except (messages.InvalidRequest, OSError, UnusableJobUser) as error:
            log.warning("ignored a request for a job: %s", error)
            return 1
        with _home(user) as home:
            job = multiprocessing.get_context("fork").Process(
                target=_enter_job, args=(connection, wake_up, Connection(pipe), streams, user, home)
            )
            job.start()
            assert job.pid is not None, "the process has been started"
            for descriptor in streams:
                os.close(descriptor)
            _keep_until_its_end(job.pid, connection, wake_up, server)
    return 0


@contextmanager
def _home(user: JobUser | None) -> Iterator[Path]:
    """Create a folder of the job's own if it runs as another user, and remove it after the job."""
    if user is None:
        yield Path()
        return
    home = user.create_home()
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _keep_until_its_end(job: int, connection: socket.socket, wake_up: WakeUp, server: int) -> None:
    with suppress(OSError):  # the agent has gone, which the loop notices
        messages.send_message(connection, pid=job)
    code = _wait(job, connection, wake_up, server)
    if code is None:
        process_tree.send_signal(job, signal.SIGKILL)
    left_behind = process_tree.kill_children()
    if code is not None:
        messages.send_message(connection, code=code, left_behind=left_behind)


def _wait(job: int, connection: socket.socket, wake_up: WakeUp, server: int) -> int | None:
    """Return the exit code of the job, None if the agent or the server has ended before it."""
    while True:
        # The agent sends nothing after its request: if the connection is readable, it has been closed.
        ready, _, _ = select.select((connection.fileno(), wake_up.fileno()), (), ())
        wake_up.read()
        if (code := _reap(job)) is not None:
            return code
        if connection.fileno() in ready or os.getppid() != server:
            return None


def _reap(job: int) -> int | None:
    """Reap what has ended, adopted processes too; return the exit code of the job if it is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == job:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _enter_job(
    connection: socket.socket,
    wake_up: WakeUp,
    pipe: Connection,
    streams: list[int],
    user: JobUser | None,
    home: Path,
) -> None:
    wake_up.close()
    connection.close()
    for target, descriptor in enumerate(streams, start=1):
        os.dup2(descriptor, target)
        os.close(descriptor)
    if user is not None:
        try:
            user.become(home)
        except Exception as error:  # whatever it is, the report must name it
            forked_job.refuse(pipe, f"The worker could not start the job as {user.name}: {error}")
            return
    forked_job.run(pipe)
