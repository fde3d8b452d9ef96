"""A worker whose job behaves as the test's parameters request."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tests.agent.prying import name_a_path, pry
from worker_agent.base import Job, OperationSpec, WorkerAPIBase
from worker_agent.protocol import InvalidInput


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    until_cancelled: bool = False
    deaf: bool = False
    """Never checks for cancellation, and ignores SIGTERM."""
    grandchild: bool = False
    """Leaves a process in another session behind."""
    busy_s: float = 0.0
    """Processor time to use before the mark `started`."""
    fail: str = ""
    """invalid, crash, long, exit, native, abort, memory, nan"""
    die: str = ""
    """The name of a signal that the job sends to itself."""
    points: int = 0
    artifact: str = ""
    says: str = ""
    """Printed."""
    look_for: str = ""
    """A text that the job looks for in every environment that it can read, its own and its children's included."""
    pry: list[str] = []
    """The agent's process and its directory, which the job tries to reach."""
    names: str = ""
    """A path that the job reports as an artifact."""
    sends: str = ""
    """A message as JSON that the job sends to the agent."""
    times: int = 1
    """How often the message contains `sends`."""
    hostile: bool = False
    """Reports what cannot be stored, in every call, and as its result."""


class WorkingWorker(WorkerAPIBase):
    worker_type = "working"

    def capabilities(self) -> dict[str, Any]:
        return {"speciality": "tests"}

    def run(self, parameters: Parameters, job: Job) -> dict[str, Any]:
        while time.process_time() < parameters.busy_s:
            pass
        mark("started", job.attempt, os.getpid())
        if parameters.grandchild:
            child = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
            )
            mark("grandchild", child.pid)
        for number in range(parameters.points):
            job.metric("loss", number, 1.0 / (number + 1))
            job.log(f"line {number}")
        if parameters.artifact:
            job.artifact("out.txt", parameters.artifact.encode())
        if parameters.says:
            print(parameters.says)
        if parameters.look_for:
            return {"found": environments_with(parameters.look_for), "names": sorted(os.environ)}
        if parameters.pry:
            return pry(job, int(parameters.pry[0]), Path(parameters.pry[1]))
        if parameters.names:
            name_a_path(job, parameters.names)
        if parameters.sends:
            job._pipe.send_bytes((parameters.sends * parameters.times).encode())
        if parameters.hostile:
            return report_hostile_content(job)
        job.progress(40.0, "working", 4, 10)
        if parameters.die:
            os.kill(os.getpid(), signal.Signals[parameters.die])
        fail(parameters.fail)
        if parameters.deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(1)
        while parameters.until_cancelled and not job.cancelled:
            time.sleep(0.01)
        if job.cancelled:
            job.checkpoint(7, {"state.txt": b"seven"})
        resumed = job.resume.files["state.txt"].decode() if job.resume else None
        inputs = {name: path.read_text() for name, path in job.inputs.items()}
        mark("finished", job.attempt)
        return {"attempt": job.attempt, "inputs": inputs, "resumed": resumed}


WorkingWorker.operations = (OperationSpec("working", "/work/start", Parameters, WorkingWorker.run),)


def report_hostile_content(job: Job) -> dict[str, Any]:
    for text in ("a\x00b", "a\udc80b", "x" * 10_000, "", "\x1b[31m"):
        job.log(text)
        job.metric(text, 1, 0.5)
        job.progress(50.0, text)
    job.log("level", "shout")
    for step in (2**63, -(2**70)):
        job.metric("steps", step, 0.5)
        job.progress(50.0, "steps", completed=step, total=step)
    job.artifact("a b.txt", b"blank")
    job.artifact("ü\x00.csv", b"umlaut")
    job.checkpoint(2**64, {"my state.bin": b"state"})
    return {
        "nul\x00": "a\x00b",
        "nan": float("nan"),
        "surrogate": os.fsdecode(b"caf\xe9.csv"),
        "object": job,
        "big": 2**80,
        1: {"set": {1}},
    }


def environments_with(text: str) -> list[str]:
    """Return where the text is: in the environment of a child of this job, of the job, or of a process above it."""
    child = subprocess.run(["env", "-0"], capture_output=True, check=True).stdout
    found = ["child"] if text.encode() in child else []
    pid = os.getpid()
    while pid > 0:
        process = Path("/proc", str(pid))
        with suppress(PermissionError):  # an agent's is closed to processes that may not trace it
            if text.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        pid = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def mark(*words: object) -> None:
    with Path(os.environ["MARKS"]).open("a") as file:
        file.write(" ".join(str(word) for word in words) + "\n")


def fail(kind: str) -> None:
    match kind:
        case "invalid":
            raise InvalidInput("AAPL has no bars in 1903.")
        case "crash":
            raise RuntimeError("it broke")
        case "long":
            raise RuntimeError("x" * 1_000_000)
        case "exit":
            os._exit(5)
        case "native":
            os.write(2, b"x" * 100_000 + b"\nlibexample: cannot open /dev/shm\n\n")
            os._exit(1)
        case "abort":
            os.write(2, b"free(): invalid pointer\n")
            os.abort()
        case "memory":
            raise MemoryError
        case _:
            return


if __name__ == "__main__":
    WorkingWorker.main()
