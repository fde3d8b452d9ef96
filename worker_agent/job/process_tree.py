"""Find and end the descendants of a process."""

import os
import signal
from contextlib import suppress

import psutil


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


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


def all_alive(pids: set[int]) -> bool:
    """Whether none of the processes has ended. A zombie has ended."""
    try:
        return all(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    except psutil.NoSuchProcess:
        return False


def kill_orphans(keep: set[int]) -> int:
    """Kill every descendant of this process outside `keep`; return how many there were.

    A job may leave processes in other sessions. They are descendants of this process because it adopts orphans.
    """
    orphans = [process for process in psutil.Process().children(recursive=True) if process.pid not in keep]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=2)
    return len(orphans)
