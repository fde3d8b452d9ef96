"""The product as `manage.py up` starts it, at its default clocks, on a directory and port of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from worker_agent.job import linux

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 90.0
ENDS_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class System:
    url: str
    token: str
    """Of the user admin."""
    enrolment_token: str
    pid: int
    data: Path
    """The data directory; whoever sets KTRDR_DATA_DIR to it shares the database."""


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[System]:
    """Without the demo and, unless `arguments` says otherwise, without workers."""
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as directory:
        data = Path(directory) / "var"
        output = Path(directory) / "output"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KTRDR_", "DJANGO_"))}
        chosen = arguments or ("--workers", "")
        parent = os.getpid()
        with output.open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable, "manage.py", "up", "--no-demo", "--port", "0",
                    "--data-dir", str(data), *chosen,
                ],
                cwd=ROOT,
                env={**kept, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: linux.die_with_parent(parent),
            )  # fmt: skip
        try:
            url = _ready(process, output)
            yield System(
                url,
                (data / "api-token").read_text().strip(),
                (data / "worker-token").read_text().strip(),
                process.pid,
                data,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(ENDS_WITHIN_S)


def _ready(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"^KTRDR is ready at (http://\S+)/dashboard/$", output.read_text(), re.MULTILINE)
        if found:
            return found[1]
        time.sleep(0.05)
    raise SystemExit(f"the system did not start:\n{output.read_text()[-3000:]}")


def processor_s(system: System) -> float:
    """Return the processor time used so far by every process of the system and of its database."""
    return processor_of_tree_s(system.pid) + server_processor_s(system)


def server_processor_s(system: System) -> float:
    """Return the processor time of the database's server."""
    return processor_of_tree_s(
        int((system.data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    )


def processor_of_tree_s(pid: int) -> float:
    """Return the processor time of a process and its descendants, with those that have ended."""
    total = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total
