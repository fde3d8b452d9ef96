"""Wait for an event in another process: it cannot be awaited, so the tests poll for it."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import psutil

from tests.calibration import TimeLimit

T = TypeVar("T")
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.25
"""Between two polls, growing: a poll is often a request, and a hundred a second would load the machine most."""


def until(
    condition: Callable[[], T],
    event: str,
    timeout_s: float = 30.0,
    explain: Callable[[], object] = str,
) -> T:
    """Return the first true value of `condition`. Fails the test after `timeout_s` of an idle machine, with `explain()`."""
    limit, pause_s = TimeLimit(timeout_s), SHORTEST_PAUSE_S
    while not (value := condition()):
        assert not limit.has_passed(), f"{_waited(limit)} for: {event}\n{explain()}"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, LONGEST_PAUSE_S)
    return value


async def until_async(condition: Callable[[], T], event: str, timeout_s: float = 30.0) -> T:
    """Like `until`, while the event loop goes on."""
    limit, pause_s = TimeLimit(timeout_s), SHORTEST_PAUSE_S
    while not (value := condition()):
        assert not await limit.has_passed_async(), f"{_waited(limit)} for: {event}"
        await asyncio.sleep(pause_s)
        pause_s = min(1.2 * pause_s, LONGEST_PAUSE_S)
    return value


def until_exit(process: subprocess.Popen[bytes] | subprocess.Popen[str], timeout_s: float) -> int:
    """Return the exit status of a child process."""
    until(lambda: process.poll() is not None, f"process {process.pid} exits", timeout_s)
    return process.wait()


def until_gone(
    processes: Iterable[psutil.Process], event: str, timeout_s: float, explain: Callable[[], object] = str
) -> None:
    """Wait until none of the processes runs."""
    watched = list(processes)

    def alive() -> list[psutil.Process]:
        return [process for process in watched if is_alive(process)]

    until(lambda: not alive(), event, timeout_s, lambda: f"{alive()}\n{explain()}")


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs. A zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _waited(limit: TimeLimit) -> str:
    return f"waited {limit.elapsed_s:.1f} s ({limit.seconds:g} s of an idle machine)"
