"""`python -m ktrdr_site.guard`: the last resort when `manage.py up` was killed.

Its children are told by the kernel and end in order. Who has not within the grace is killed, with all descendants. The
guard reads the numbers of the processes to watch on its standard input; the end of that pipe is the end of `up`.
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
"""Below the 15 s within which everything is to be gone, with room for the database."""


class Guard:
    """The side of `up`."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ktrdr_site.guard"],
            cwd=directory,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed the guard: the others do without
            self._process.stdin.write(f"{pid}\n".encode())
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """All have ended: nothing is left to do."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    watched = []
    for line in sys.stdin:
        with suppress(psutil.NoSuchProcess):
            watched.append(psutil.Process(int(line)))
    kill_survivors(watched, GRACE_S)


def kill_survivors(watched: Iterable[psutil.Process], grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    family = {process for root in watched for process in family_of(root)}
    while time.monotonic() < deadline:
        # Asked again and again, since a process on its way out may still start others.
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
    try:
        return [root, *root.children(recursive=True)] if root.is_running() else []
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
