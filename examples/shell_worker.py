"""A command of the shell: its output goes to the operation's log line by line, and it is ended as a process group.

Whoever may submit operations runs commands as the user of this worker. Give it a user of its own.
"""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker_agent.base import Job, WorkerAPIBase

POLL_S = 0.1
OUTPUT_S = 5.0
"""Wait for the rest of the output, which a process that left the group may keep open."""


class ShellParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str = Field(
        min_length=1, max_length=4000, examples=["for i in 1 2 3; do echo $i; sleep 1; done"]
    )
    grace_s: float = Field(default=5, ge=0, le=60, description="From SIGTERM to SIGKILL when cancelled")


class CommandFailed(Exception):
    """The command returned another status than 0, or a signal ended it."""


class ShellWorker(WorkerAPIBase):
    """Runs a command."""

    worker_type = "shell"
    operation_type = "shell"
    start_path = "/shell/start"
    Parameters = ShellParameters
    max_attempts = 1  # a command that ran half is not repeated
    default_port = 5012

    def run(self, parameters: ShellParameters, job: Job) -> dict[str, Any]:
        process = subprocess.Popen(  # noqa: S603  (to run a command is the purpose)
            ["/bin/sh", "-c", parameters.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, whose number is the process id
        )
        lines: list[int] = []
        reader = threading.Thread(target=follow, args=(process, job, lines), name="output", daemon=True)
        reader.start()
        try:
            while process.poll() is None and not job.cancelled:
                time.sleep(POLL_S)
            if job.cancelled:
                signal_group(process, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(parameters.grace_s)
        finally:
            signal_group(process, signal.SIGKILL)  # also what the command left in the background
        status = process.wait()
        reader.join(timeout=OUTPUT_S)
        if status and not job.cancelled:
            raise CommandFailed(f"The command ended with status {status}.")
        return {"status": status, "lines": len(lines)}


def follow(process: subprocess.Popen[bytes], job: Job, lines: list[int]) -> None:
    """Log the output line by line, and note the length of each line in `lines`."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            job.log(line.decode(errors="replace").rstrip("\r\n"))
            lines.append(len(line))


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


if __name__ == "__main__":
    ShellWorker.main()
