"""A worker whose job leaves marks that no database can forge.

Each line of $KTRDR_MARKS is one `write` to a file opened with O_APPEND: `WORD OPERATION ATTEMPT PID ...`.
While it runs, the job holds an exclusive `flock` on a file named after the operation, and one named after the
worker; the kernel lets go of them when the process dies, however it dies. A lock that somebody holds who is not
stopped means two at once, and is marked `overlap`.
"""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, JsonValue

from tests.faults.emission import emit
from worker_agent.base import Job, WorkerAPIBase

STEP_S = 0.02


class MarkingParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float = 0.2
    checkpoint_every: int = 0
    """Steps of 20 ms."""
    stubborn: bool = False
    """Ignores the cooperative cancel and SIGTERM."""
    grandchild: bool = False
    """Starts a process in a session of its own, which would outlive a careless kill."""
    die: str = ""
    """Name of a signal that the job sends to itself half way."""
    artifact_bytes: int = 0
    eat_bytes: int = 0
    """Memory that it touches half way."""
    limit_bytes: int = 0
    """Its own RLIMIT_AS."""
    emit: str = ""
    """What it reports instead of its steps: see `emission`."""


def mark(*words: object) -> None:
    line = " ".join(str(word) for word in words) + "\n"
    descriptor = os.open(os.environ["KTRDR_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@dataclass
class Hold:
    """A lock until the process ends. Whoever holds it has written its pid into it."""

    name: str
    who: tuple[object, ...]
    held: bool = False
    told: bool = False

    def __post_init__(self) -> None:
        path = Path(os.environ["KTRDR_MARKS"]).parent / f"{self.name}.lock"
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def look(self) -> None:
        """Takes the lock; where a process that is not stopped has it, marks the overlap, once."""
        if self.held:
            return
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self.descriptor, 20, 0).decode()
            if not self.told and not _stopped(holder):
                self.told = True
                mark("overlap", *self.who, self.name, holder)
        else:
            self.held = True
            os.pwrite(self.descriptor, f"{os.getpid():<10}".encode(), 0)


def _stopped(pid: str) -> bool:
    try:
        return psutil.Process(int(pid)).status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except (ValueError, psutil.NoSuchProcess):
        return True  # it was there a moment ago


class MarkingWorker(WorkerAPIBase):
    worker_type = "marking"
    operation_type = "marking"
    start_path = "/marking/start"
    Parameters = MarkingParameters

    def capabilities(self) -> dict[str, JsonValue]:
        return dict(json.loads(os.environ.get("MARKING_CAPABILITIES", "{}")))

    def run(self, parameters: MarkingParameters, job: Job) -> Any:
        who = (job.operation_id, job.attempt, os.getpid())
        holds = [Hold(f"operation-{job.operation_id}", who), Hold(f"worker-{os.environ['WORKER_ID']}", who)]
        mark("start", *who, os.environ["WORKER_ID"])
        if parameters.emit:
            mark("end", *who)
            return emit(job, parameters.emit)
        if parameters.stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if parameters.limit_bytes:
            resource.setrlimit(resource.RLIMIT_AS, (parameters.limit_bytes, parameters.limit_bytes))
        if parameters.grandchild:
            child = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
            )
            mark("grandchild", *who, child.pid)
        first = job.resume.step if job.resume else 0
        if first:
            mark("resumed", *who, first)
        return self._steps(parameters, job, holds, first)

    def _steps(
        self, parameters: MarkingParameters, job: Job, holds: list[Hold], first: int
    ) -> dict[str, Any]:
        who = (job.operation_id, job.attempt, os.getpid())
        steps = max(1, round(parameters.seconds / STEP_S))
        eaten = b""
        for step in range(first + 1, steps + 1):
            for hold in holds:
                hold.look()
            time.sleep(STEP_S)
            job.progress(100 * step / steps, step=f"step {step}", completed=step, total=steps)
            job.metric("step", step=step, value=float(step))
            if parameters.checkpoint_every and step % parameters.checkpoint_every == 0:
                job.checkpoint(step=step, files={"state.json": b"{}"})
            if step == steps // 2:
                if parameters.die:
                    os.kill(os.getpid(), getattr(signal, parameters.die))
                eaten = b"x" * parameters.eat_bytes
            if job.cancelled and not parameters.stubborn:
                mark("cancelled", *who)
                return {"stopped_at": step}
        if parameters.artifact_bytes:
            job.artifact("out.bin", os.urandom(parameters.artifact_bytes))
        mark("end", *who)
        return {"steps": steps, "eaten": len(eaten)}


if __name__ == "__main__":
    MarkingWorker.main()
