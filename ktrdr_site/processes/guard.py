"""The last resort when `manage.py up` was killed.

The kernel signals its children, which end in order. The guard kills those that are still alive after the grace, with
all their descendants. It reads the pids to watch from a pipe; the end of that pipe is the end of `up`. Where forking is
unsafe it is a new program, `python -m ktrdr_site.processes.guard`, and the pipe its standard input.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import setproctitle

from ktrdr_site.processes.descriptors import detach_all_but

GRACE_S = 9.0
"""Below the 15 s within which every process must have ended, with room for the database."""


class Guard:
    """The guard, as `up` sees it. Start it before the event loop, and after the nurseries: they must not hold its pipe."""

    def __init__(self, directory: Path) -> None:
        read_end, self._pids = os.pipe()
        if sys.platform == "linux":
            forked = multiprocessing.get_context("fork").Process(
                target=_enter, args=(read_end,), daemon=False
            )
            forked.start()
            self._process: BaseProcess | subprocess.Popen[bytes] = forked
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ktrdr_site.processes.guard"],
                cwd=directory,
                stdin=read_end,
                start_new_session=True,
            )
        os.close(read_end)

    def watch(self, pid: int) -> None:
        with suppress(BrokenPipeError):  # somebody killed the guard: go on without it
            os.write(self._pids, f"{pid}\n".encode())

    def dismiss(self) -> None:
        """End the guard, after all watched processes have ended."""
        self._process.kill()
        if isinstance(self._process, subprocess.Popen):
            self._process.wait()
        else:
            self._process.join()
        os.close(self._pids)


def _enter(read_end: int) -> None:
    os.setsid()  # Ctrl-C in a terminal reaches only `up`
    setproctitle.setproctitle(f"{setproctitle.getproctitle()} (guard)")
    detach_all_but({0, 1, 2, read_end})
    with os.fdopen(read_end) as pids:
        watch(pids)


def watch(pids: Iterable[str]) -> None:
    """Read pids until `up` has ended, then kill those that survive it."""
    watched = []
    for line in pids:
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
    watch(sys.stdin)
