"""Run commands of the machine and of the machines that the trials start."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 600.0
"""For an event that takes seconds on an idle machine; a busy one must not fail a trial."""


class TrialFailed(Exception):
    """What a trial saw, and what it required."""


def run(
    *command: str | Path,
    stdin: str = "",
    cwd: Path | None = None,
    timeout_s: float = 300,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Return the standard output. Raises TrialFailed with all output if the command fails or takes too long."""
    words = [str(word) for word in command]
    with subprocess.Popen(
        words, cwd=cwd, env={**os.environ, **(variables or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(stdin, timeout=timeout_s)
        except BaseException as error:
            _kill_group(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TrialFailed(f"{' '.join(words)[:200]}: not finished after {timeout_s:.0f} s") from error
    if process.returncode:
        end = f"{output}{errors}"[-6000:]
        raise TrialFailed(f"{' '.join(words)[:200]}: exit status {process.returncode}\n{end}")
    return output


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the process and its descendants, and collect those that this process adopts.

    Until then the process 1 of a machine in which one of them ran cannot end.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)


def succeeds(*command: str | Path, timeout_s: float = 60) -> bool:
    try:
        run(*command, timeout_s=timeout_s)
    except TrialFailed:
        return False
    return True


def require(condition: object, message: str) -> None:
    if not condition:
        raise TrialFailed(message)


def wait_for(condition: Callable[[], T | None], event: str, timeout_s: float = PATIENCE_S) -> T:
    """Return the first true value of `condition`. Raises TrialFailed after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TrialFailed(f"waited {timeout_s:.0f} s in vain for: {event}")
        time.sleep(0.25)
    return value
