"""`python -m ktrdr_site.processes.guard`: the last resort when `manage.py up` was killed.

The kernel signals its children, which end in order. The guard kills those that are still alive after the grace, with
all their descendants. It reads the pids to watch from its standard input; the end of that pipe is the end of `up`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

GRACE_S = 9.0
"""Below the 15 s within which every process must have ended, with room for the database."""


class Guard:
    """The guard, as `up` sees it."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ktrdr_site.processes.guard"],
            cwd=directory,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed the guard: go on without it
            self._process.stdin.write(f"{pid}\n".encode())
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """End the guard, after all watched processes have ended."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    watched = []
    for line in sys.stdin:
        with suppress(psutil.NoSuchProcess):
            watched.append(psutil.Process(int(line)))
    kill_survivors(watched, GRACE_S)


def kill_survivors(watched: Iterable[psutil.Process], grace_s: float) -> None:
    """Kill the watched processes and their descendants that are still alive after the grace."""
    deadline = time.monotonic() + grace_s
    family = {process for root in watched for process in family_of(root)}
    while time.monotonic() < deadline:
        # Looked up repeatedly, since a process that is ending may still start others.
        family |= {process for member in tuple(family) for process in family_of(member)}
        family = {member for member in family if member.is_running()}
        if not family:
            return
        time.sleep(0.2)
    for member in family:
        if member.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                member.kill()


def family_of(root: psutil.Process) -> list[psutil.Process]:
    """Return the process and its descendants; empty if it has ended."""
    try:
        return [root, *root.children(recursive=True)] if root.is_running() else []
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
