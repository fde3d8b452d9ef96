"""Run commands of the machine and of the machines that the trials start."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


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
    try:
        process = subprocess.run(
            words, input=stdin, cwd=cwd, env={**os.environ, **(variables or {})},
            capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TrialFailed(f"{' '.join(words)[:200]}: not finished after {timeout_s:.0f} s") from error
    if process.returncode:
        output = f"{process.stdout}{process.stderr}"[-6000:]
        raise TrialFailed(f"{' '.join(words)[:200]}: exit status {process.returncode}\n{output}")
    return process.stdout


def succeeds(*command: str | Path, timeout_s: float = 60) -> bool:
    try:
        run(*command, timeout_s=timeout_s)
    except TrialFailed:
        return False
    return True


def require(condition: object, message: str) -> None:
    if not condition:
        raise TrialFailed(message)


def wait_for(condition: Callable[[], T], event: str, timeout_s: float = 120) -> T:
    """Return the first true value of `condition`. Raises TrialFailed after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TrialFailed(f"waited {timeout_s:.0f} s in vain for: {event}")
        time.sleep(0.25)
    return value
