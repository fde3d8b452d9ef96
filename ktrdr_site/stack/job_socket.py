"""The socket by which all workers of this machine ask the fork server for job processes."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ktrdr_site.embedded import cluster

DIRECTORY = "run"
NAME = "jobs.sock"
BACKLOG = 64


@dataclass(frozen=True, slots=True)
class JobSocket:
    listener: socket.socket
    path: Path


@contextmanager
def open_job_socket(data_dir: Path) -> Iterator[JobSocket]:
    """Listen in a directory of mode 0700. `up` holds the socket, so requests wait while the fork server is restarted."""
    with _private_directory(data_dir) as directory:
        path = directory / NAME
        path.unlink(missing_ok=True)  # left by an `up` that was killed
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
            try:
                yield JobSocket(listener, path)
            finally:
                path.unlink(missing_ok=True)


@contextmanager
def _private_directory(data_dir: Path) -> Iterator[Path]:
    """Use the data directory, or a new one with a short path if the path of the socket would be too long."""
    directory = data_dir / DIRECTORY
    if cluster.socket_path_fits(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        yield directory
        return
    short = Path(tempfile.mkdtemp(prefix="ktrdr-", dir="/tmp"))  # nosec B108 # mkdtemp: new, ours, mode 0700
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)
