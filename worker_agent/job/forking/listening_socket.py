"""The socket behind which an agent's own fork server listens, in a private directory that no kill leaves for long."""

import fcntl
import logging
import os
import socket
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from worker_agent.job.forking import messages

log = logging.getLogger(__name__)

BACKLOG = 64
RUN = "run"
"""The folder of the directories of sockets, in the worker's data directory."""
PREFIX = "ktrdr-jobs-"
SOCKET_NAME = "jobs.sock"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class ListeningSocket:
    """A socket in a new directory below `parent`. Whoever holds it may restart the server behind it.

    The directory is removed at the end of the process. One that is killed leaves it, but not the lock on it, which
    `remove_dead` finds free. Raises OSError.
    """

    def __init__(self, parent: Path) -> None:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        descriptor = os.open(directory, DIRECTORY)
        self.listener = socket.socket(socket.AF_UNIX, messages.KIND)
        self._finalizer = weakref.finalize(self, _close, self.listener, directory, descriptor)
        # A path of a socket has 107 bytes at most, and that of the directory may be longer.
        self.path = Path(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # before the socket exists
            self.listener.bind(str(self.path))
            self.path.chmod(0o600)
            self.listener.listen(BACKLOG)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        self._finalizer()


def open_socket(data_dir: Path) -> ListeningSocket:
    """Listen in the worker's data directory, or a temporary one if its file system has no sockets or locks.

    Raises OSError.
    """
    run = data_dir / RUN
    try:
        run.mkdir(mode=0o700, exist_ok=True)
        remove_dead(run)
        return ListeningSocket(run)
    except OSError as error:
        temporary = Path(tempfile.gettempdir())
        log.info(
            "%s cannot contain the socket of the fork server, %s does: %s", run, temporary, error.strerror
        )
        remove_dead(temporary)
        return ListeningSocket(temporary)


def remove_dead(parent: Path) -> None:
    """Remove the directories below `parent` that killed agents of this user left."""
    for directory in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another agent uses it, or has just removed it
            _remove_if_dead(directory)


def _remove_if_dead(directory: Path) -> None:
    descriptor = os.open(directory, DIRECTORY)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            # Without a socket it may be new and not locked yet.
            os.stat(SOCKET_NAME, dir_fd=descriptor, follow_symlinks=False)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(directory, descriptor)
    finally:
        os.close(descriptor)


def _close(listener: socket.socket, directory: Path, descriptor: int) -> None:
    listener.close()
    _remove(directory, descriptor)
    os.close(descriptor)


def _remove(directory: Path, descriptor: int) -> None:
    """Remove the socket, if it exists, and the directory unless something else is in it."""
    with suppress(OSError):
        os.unlink(SOCKET_NAME, dir_fd=descriptor)
    with suppress(OSError):
        directory.rmdir()
