"""`python -m ktrdr_site.embedded.watcher DIRECTORY`: runs PostgreSQL while any process holds the lease.

It prints one line, `ready` or the reason why the server does not start, and closes its standard output.
"""

import fcntl
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ktrdr_site.embedded import cluster
from ktrdr_site.embedded.account import (
    Account,
    NoAccountError,
    current_user,
    needed_capability,
    server_account,
    switch_to,
)
from ktrdr_site.processes.parent_death import die_with_parent

START_TIMEOUT_S = 50
STOP_TIMEOUT_S = 8
MAX_LOG_BYTES = 10_000_000


class StartError(Exception):
    """The message is one sentence for people."""


def main(directory: Path) -> int:
    os.umask(0o077)
    # A signal to the whole service stops the server's users; the server must end after them, not first.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    server_lock = os.open(directory / cluster.SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(server_lock, fcntl.LOCK_EX)
    # Left by a server that was killed: all its processes held the lock, so none is alive.
    (directory / cluster.CLUSTER / "postmaster.pid").unlink(missing_ok=True)
    try:
        account = server_account(directory)
        with _socket_directory(directory, account) as socket_directory:
            server = _start(directory, socket_directory, account, server_lock)
            _report("ready")
            _wait_for_last_user(directory, server)
            _stop(server)
    except (StartError, NoAccountError, cluster.NotInstalledError) as error:
        _report(str(error))
        return 1
    return 0


def _report(line: str) -> None:
    with suppress(BrokenPipeError):  # the process that wanted the server has ended
        os.write(1, f"{line}\n".encode())
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.close(null)


@contextmanager
def _socket_directory(directory: Path, account: Account | None) -> Iterator[Path]:
    """Use our own folder, or a private one with a short path if the socket's path would be too long."""
    if cluster.socket_path_fits(directory):
        yield directory
        return
    short = Path(tempfile.mkdtemp(prefix="ktrdr-", dir="/tmp"))  # nosec B108 # mkdtemp: new, ours, mode 0700
    if account is not None:
        os.chown(short, account.uid, account.gid)
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _start(
    directory: Path, socket_directory: Path, account: Account | None, server_lock: int
) -> subprocess.Popen[bytes]:
    capability = None
    if account is not None:
        capability = needed_capability(cluster.files_to_reach(directory), account)
    become = switch_to(account, capability)
    # Fast shutdown if this process is killed; the next user starts both again.
    bind = die_with_parent(signal.SIGINT)

    def enter() -> None:
        become()
        bind()

    _initialise_once(directory, current_user(), enter)
    log = _open_log(directory)
    server = subprocess.Popen(  # noqa: S603
        cluster.server_command(directory, socket_directory),
        env=cluster.ENVIRONMENT,
        cwd="/",
        preexec_fn=enter,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[server_lock],
        start_new_session=True,
    )
    os.close(log)
    _wait_until_ready(directory, server)
    return server


def _initialise_once(directory: Path, user: str, enter: Callable[[], None]) -> None:
    version_file = directory / cluster.CLUSTER / "PG_VERSION"
    if not version_file.exists():
        try:
            cluster.initialise(directory, user, enter)
        except subprocess.CalledProcessError as error:
            last = error.output.decode(errors="replace").strip().splitlines()[-1:]
            raise StartError(f"cannot create the database in {directory}: {' '.join(last)}") from error
    version = version_file.read_text().strip()
    if version != cluster.MAJOR_VERSION:
        raise StartError(
            f"{directory} contains a PostgreSQL {version} database, but this installation runs "
            f"{cluster.MAJOR_VERSION}; dump and restore it, or set KTRDR_DATABASE_URL"
        )
    try:
        cluster.restrict_application(directory, user, enter)
    except subprocess.CalledProcessError as error:
        failed = [line for line in error.output.decode(errors="replace").splitlines() if "ERROR" in line][:1]
        raise StartError(
            f"cannot give the database in {directory} to the role {cluster.ROLE}: {' '.join(failed)}"
        ) from error


def _open_log(directory: Path) -> int:
    path = directory / cluster.SERVER_LOG
    full = path.exists() and path.stat().st_size > MAX_LOG_BYTES
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if full else 0)
    return os.open(path, flags, 0o600)


def _wait_until_ready(directory: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None:
        if cluster.ready_socket_directory(directory) is not None:
            return
        if time.monotonic() > deadline:
            _stop(server)
            raise StartError(
                f"PostgreSQL is not ready after {START_TIMEOUT_S} s; see {directory / cluster.SERVER_LOG}"
            )
        time.sleep(0.01)
    lines = (directory / cluster.SERVER_LOG).read_text(errors="replace").strip().splitlines()
    raise StartError(f"PostgreSQL does not start: {' '.join(lines[-1:])} ({directory / cluster.SERVER_LOG})")


def _wait_for_last_user(directory: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until no process holds the lease, or the server ends on its own."""
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    lease = os.open(directory / cluster.LEASE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def wait_for_lease() -> None:
        fcntl.flock(lease, fcntl.LOCK_EX)
        ended.put(None)

    def wait_for_server() -> None:
        server.wait()
        ended.put(None)

    for target in (wait_for_lease, wait_for_server):
        threading.Thread(target=target, daemon=True).start()
    ended.get()


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
            try:
                server.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
        return


if __name__ == "__main__":
    if os.fork():  # the launcher's parent waits only for the launcher
        os._exit(0)
    sys.exit(main(Path(sys.argv[1])))
