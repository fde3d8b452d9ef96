"""Find and end the descendants of a process."""

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress

import psutil

DYING_S = 2.0
"""Longest wait for killed processes."""


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def count_threads() -> int:
    """Count the threads of this process, those of libraries too."""
    return int(psutil.Process().num_threads())


def send_signal(pid: int, number: signal.Signals) -> None:
    """Signal the process group of `pid`, and each descendant, since some may have left the group."""
    family = descendants(pid)
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_children(keep: Collection[int] = ()) -> int:
    """Kill and reap all children of this process outside `keep`, and theirs; return how many there were.

    A job may leave processes in other sessions. They become children of this process if it adopts orphans.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + DYING_S
    while _has_children() and time.monotonic() < deadline:
        family = [
            process
            for child in psutil.Process().children()
            if child.pid not in keep
            for process in (child, *descendants(child.pid))
        ]
        if not family:
            break
        for process in family:
            killed.add(process.pid)
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for process in family:
            _reap(process.pid)
    return len(killed)


def _has_children() -> bool:
    """Ask the kernel, which is much cheaper than to look at every process of the machine."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap(pid: int) -> None:
    """Wait for a killed process if it is a child of this one; others are adopted, and reaped in the next round."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
