"""A job that tries to reach what is the agent's, and reports what it reached."""

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from worker_agent.base import Job


def pry(job: Job, agent: int, data_dir: Path) -> dict[str, Any]:
    """Return the user of the job, and the attempts that succeeded; all must fail for an unprivileged job."""
    job.artifact("out.txt", b"of the job")
    keeper = os.getppid()
    status = Path("/proc/self/status").read_text()
    attempts: dict[str, Callable[[], Any]] = {
        "become root": lambda: os.setuid(0),
        "become root's group": lambda: os.setgid(0),
        "join groups": lambda: os.setgroups([0]),
        "read the agent's token": lambda: (data_dir / "worker-token").read_text(),
        "list the agent's files": lambda: list(data_dir.iterdir()),
        "list other attempts": lambda: list((data_dir / "jobs").iterdir()),
        "list reports": lambda: list((data_dir / "reports").iterdir()),
        "list taken files": lambda: list(Path("../taken").iterdir()),
        "read a taken file": lambda: Path("../taken/1").read_text(),
        "replace the attempt's folder": lambda: os.rename("../scratch", "../other"),
        "write beside the folder": lambda: Path("../other").write_text("x"),
        "read the agent's environment": lambda: Path(f"/proc/{agent}/environ").read_bytes(),
        "read the keeper's memory": lambda: os.open(f"/proc/{keeper}/mem", os.O_RDONLY),
        "enter the agent's root": lambda: os.listdir(f"/proc/{agent}/cwd"),
        "stop the agent": lambda: os.kill(agent, signal.SIGSTOP),
        "stop the keeper": lambda: os.kill(keeper, signal.SIGSTOP),
        "trace the keeper": lambda: trace(keeper),
        "read /etc/shadow": lambda: Path("/etc/shadow").read_text(),
        **{
            f"change the input {name}": lambda path=path: path.write_text("x")
            for name, path in job.inputs.items()
        },
        **{f"remove the input {name}": lambda path=path: path.unlink() for name, path in job.inputs.items()},
    }
    succeeded = []
    for name, attempt in attempts.items():
        with suppress(OSError):
            attempt()
            succeeded.append(name)
    return {
        "succeeded": succeeded,
        "tried": len(attempts),
        "user": [os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
        "groups": sorted(os.getgroups()),
        "capabilities": [
            line.split()[1] for line in status.splitlines() if line.startswith(("CapP", "CapE", "CapA"))
        ],
        "no_new_privileges": "NoNewPrivs:\t1" in status,
        "inputs": {name: path.read_text() for name, path in job.inputs.items()},
        "resumed": job.resume.files["state.txt"].decode() if job.resume else None,
        "home": [os.environ["HOME"], os.stat(os.environ["HOME"]).st_uid],
        "own_proc": len(os.listdir("/proc/self/fd")) > 0,
    }


def trace(pid: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.ptrace(16, pid, None, None) == -1:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")


def name_a_path(job: Job, path: str) -> None:
    """Report an artifact by a path of the job's choice, as hostile code in a job can."""
    job._send({"kind": "artifact", "name": "out.txt", "path": path})
