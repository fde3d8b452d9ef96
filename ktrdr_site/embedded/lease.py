"""The clients' side of the embedded server: holds the lease, and starts the watcher if no server runs."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from ktrdr_site.embedded import cluster
from ktrdr_site.embedded.account import NoAccountError, server_account

PROJECT_DIR = Path(__file__).resolve().parent.parent.parent


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be started. The message is one sentence for people."""


_leases: dict[Path, int] = {}
_lock = threading.Lock()


def ensure_running(directory: Path) -> Path:
    """Take the lease, start the server in `directory` if necessary, and return its socket directory.

    Raises EmbeddedServerError.
    """
    with _lock:
        if directory not in _leases:
            _prepare(directory)
            _leases[directory] = _hold_lease(directory)
        socket_directory = cluster.ready_socket_directory(directory)
        if socket_directory is not None and _is_locked(directory / cluster.SERVER_LOCK):
            return socket_directory
        return _start(directory)


def release(directory: Path, wait_s: float) -> bool:
    """Release the lease and wait until the server has stopped; return False if it still runs (for others)."""
    with _lock:
        descriptor = _leases.pop(directory, None)
        if descriptor is not None:
            os.close(descriptor)
    deadline = time.monotonic() + wait_s
    while _is_locked(directory / cluster.SERVER_LOCK):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = server_account(directory)
        if account is not None and directory.stat().st_uid != account.uid:
            os.chown(directory, account.uid, account.gid)
        directory.chmod(0o700)
    except NoAccountError as error:
        raise EmbeddedServerError(str(error)) from error
    except OSError as error:
        raise EmbeddedServerError(
            f"the database directory {directory} cannot be used ({error.strerror}); "
            "set KTRDR_DATA_DIR to a directory that this user may write, or KTRDR_DATABASE_URL to a server"
        ) from error


def _hold_lease(directory: Path) -> int:
    """Take the lease. Blocks while a watcher is stopping the server after its last user."""
    descriptor = os.open(directory / cluster.LEASE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _start(directory: Path) -> Path:
    """Start the watcher, one process at a time, and wait for its first line: `ready`, or the reason of the failure."""
    descriptor = os.open(directory / cluster.START_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        socket_directory = cluster.ready_socket_directory(directory)
        if socket_directory is None or not _is_locked(directory / cluster.SERVER_LOCK):
            first_line = _spawn_watcher(directory)
            if first_line != "ready":
                raise EmbeddedServerError(first_line)
            socket_directory = cluster.ready_socket_directory(directory)
    finally:
        os.close(descriptor)
    if socket_directory is None:
        raise EmbeddedServerError(f"PostgreSQL stopped immediately; see {directory / cluster.SERVER_LOG}")
    return socket_directory


def _spawn_watcher(directory: Path) -> str:
    # In a session of its own, and orphaned at once: neither Ctrl-C nor the end of the process that happened to start
    # it, with all its children, may take the server from the others.
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "ktrdr_site.embedded.watcher", str(directory)],
        cwd=PROJECT_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as launcher:
        assert launcher.stdout is not None
        first_line = launcher.stdout.readline().decode(errors="replace").strip()
    return first_line or f"PostgreSQL did not start; see {directory / cluster.SERVER_LOG}"
