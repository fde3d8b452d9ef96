"""A worker whose job leaves marks that no database can forge.

Each line of $KTRDR_MARKS is one `write` to a file opened with O_APPEND: `start|step|end OPERATION ATTEMPT PID`.
While it runs, the job holds an exclusive `flock` on a file named after the operation, and one named after the
worker; the kernel lets go of them when the process dies, however it dies. A lock that is taken already means
two at once, and is marked `overlap`.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from worker_agent.base import Job, WorkerAPIBase


class MarkingParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float = 0.2
    checkpoint_every: int = 0
    stubborn: bool = False
    """Ignores the cooperative cancel and SIGTERM."""
    grandchild: bool = False
    """Starts a process in a session of its own, which would outlive a careless kill."""
    die: str = ""
    """Name of a signal that the job sends to itself half way."""


def mark(*words: object) -> None:
    line = " ".join(str(word) for word in words) + "\n"
    descriptor = os.open(os.environ["KTRDR_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def hold(name: str) -> int | None:
    """The descriptor that holds the lock `name` until the process ends, or None when somebody else has it."""
    path = Path(os.environ["KTRDR_MARKS"]).parent / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class MarkingWorker(WorkerAPIBase):
    worker_type = "marking"
    operation_type = "marking"
    start_path = "/marking/start"
    Parameters = MarkingParameters

    def run(self, parameters: MarkingParameters, job: Job) -> dict[str, Any]:
        who = (job.operation_id, job.attempt, os.getpid())
        held = [hold(f"operation-{job.operation_id}"), hold(f"worker-{os.environ['WORKER_ID']}")]
        mark("start", *who)
        if None in held:
            mark("overlap", *who)
        if parameters.stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if parameters.grandchild:
            child = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
            )
            mark("grandchild", job.operation_id, child.pid)
        first = job.resume.step if job.resume else 0
        if first:
            mark("resumed", *who, first)
        steps = max(1, round(parameters.seconds / 0.02))
        for step in range(first + 1, steps + 1):
            time.sleep(0.02)
            job.progress(100 * step / steps, step=f"step {step}", completed=step, total=steps)
            job.metric("step", step=step, value=float(step))
            if parameters.checkpoint_every and step % parameters.checkpoint_every == 0:
                job.checkpoint(step=step, files={"state.json": b"{}"})
            if parameters.die and step == steps // 2:
                os.kill(os.getpid(), getattr(signal, parameters.die))
            if job.cancelled and not parameters.stubborn:
                mark("cancelled", *who)
                return {"stopped_at": step}
        mark("end", *who)
        return {"steps": steps}


if __name__ == "__main__":
    MarkingWorker.main()
