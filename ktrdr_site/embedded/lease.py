"""The clients' side of the embedded server: holds the lease, and starts the watcher if no server runs."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ktrdr_site.embedded import cluster
from ktrdr_site.embedded.account import NoAccountError, server_account

PROJECT_DIR = Path(__file__).resolve().parent.parent.parent


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be started. The message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A server that is starting. Its lock keeps other processes from starting another one."""

    launcher: subprocess.Popen[bytes]
    lock: int

    def finish(self, directory: Path) -> None:
        """Wait for the watcher's first line: `ready`, or the reason of the failure. Raises EmbeddedServerError."""
        try:
            with self.launcher:
                assert self.launcher.stdout is not None
                first_line = self.launcher.stdout.readline().decode(errors="replace").strip()
        finally:
            os.close(self.lock)
        if first_line != "ready":
            raise EmbeddedServerError(
                first_line or f"PostgreSQL did not start; see {directory / cluster.SERVER_LOG}"
            )

    def forget(self) -> None:
        """Close what a forked process has inherited."""
        assert self.launcher.stdout is not None
        self.launcher.stdout.close()
        os.close(self.lock)


_leases: dict[Path, int] = {}
_starts: dict[Path, _Start] = {}
_lock = threading.Lock()


def begin(directory: Path) -> None:
    """Take the lease and start the server of an existing database, but do not wait for it; `ensure_running` does.

    Does nothing where that would wait for another process, or fails: `ensure_running` then does it all.
    """
    with _lock, suppress(EmbeddedServerError, BlockingIOError):
        if directory in _leases or not cluster.exists(directory):
            return
        _prepare(directory)
        _leases[directory] = _hold_lease(directory, fcntl.LOCK_NB)
        start_lock = _take_start_lock(directory, fcntl.LOCK_NB)
        if _running_server(directory) is not None:
            os.close(start_lock)
        else:
            _starts[directory] = _Start(_spawn_watcher(directory), start_lock)


def ensure_running(directory: Path) -> Path:
    """Take the lease, start the server in `directory` if necessary, and return its socket directory.

    Raises EmbeddedServerError.
    """
    with _lock:
        if directory not in _leases:
            _prepare(directory)
            _leases[directory] = _hold_lease(directory)
        if (start := _starts.pop(directory, None)) is not None:
            start.finish(directory)
        socket_directory = _running_server(directory)
        return _start(directory) if socket_directory is None else socket_directory


def release(directory: Path, wait_s: float) -> bool:
    """Release the lease and wait until the server has stopped; return False if it still runs (for others)."""
    with _lock:
        if (start := _starts.pop(directory, None)) is not None:
            with suppress(EmbeddedServerError):
                start.finish(directory)
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


def _hold_lease(directory: Path, waiting: int = 0) -> int:
    """Take the lease. Blocks while a watcher is stopping the server after its last user, unless `waiting` is LOCK_NB."""
    return _open_and_lock(directory / cluster.LEASE, fcntl.LOCK_SH | waiting)


def _take_start_lock(directory: Path, waiting: int = 0) -> int:
    return _open_and_lock(directory / cluster.START_LOCK, fcntl.LOCK_EX | waiting)


def _open_and_lock(path: Path, operation: int) -> int:
    """Return a descriptor that holds the lock. Raises BlockingIOError where the operation does not wait for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _running_server(directory: Path) -> Path | None:
    """Return the socket directory of the server; None if none runs."""
    socket_directory = cluster.ready_socket_directory(directory)
    return socket_directory if _is_locked(directory / cluster.SERVER_LOCK) else None


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
    """Start the server, one process at a time, and wait until it is ready."""
    start_lock = _take_start_lock(directory)
    if _running_server(directory) is None:
        _Start(_spawn_watcher(directory), start_lock).finish(directory)
    else:
        os.close(start_lock)
    socket_directory = cluster.ready_socket_directory(directory)
    if socket_directory is None:
        raise EmbeddedServerError(f"PostgreSQL stopped immediately; see {directory / cluster.SERVER_LOG}")
    return socket_directory


def _spawn_watcher(directory: Path) -> subprocess.Popen[bytes]:
    # In a session of its own, and orphaned at once: neither Ctrl-C nor the end of the process that happened to start
    # it, with all its children, may take the server from the others.
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "ktrdr_site.embedded.watcher", str(directory)],
        cwd=PROJECT_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _forget_inherited() -> None:
    """Let a forked process take leases of its own: one that it inherits would outlive the use by its parent."""
    for start in _starts.values():
        start.forget()
    for descriptor in _leases.values():
        os.close(descriptor)
    _starts.clear()
    _leases.clear()


os.register_at_fork(after_in_child=_forget_inherited)
