"""What a job takes: processor time, memory and GPU memory of its whole tree of processes."""

import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass

import psutil

NVIDIA_SMI_TIMEOUT_S = 5.0
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float
    """Also of processes that have ended and were waited for."""
    resident_bytes: int
    processes: int
    gpu_bytes: int | None = None
    """None where it is not known."""


def of_tree(pid: int | None, gpu_bytes_of: dict[int, int] | None = None) -> Usage | None:
    """None where there is no such process (any more)."""
    if pid is None:
        return None
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    cpu, resident = 0.0, 0
    for process in family:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied), process.oneshot():
            times = process.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            resident += process.memory_info().rss
    gpu = None if gpu_bytes_of is None else sum(gpu_bytes_of.get(process.pid, 0) for process in family)
    return Usage(cpu, resident, len(family), gpu)


def gpu_bytes_by_process() -> dict[int, int] | None:
    """Process -> bytes on all cards, as nvidia-smi says; None where it is missing, hangs or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603  (a fixed command line)
            [tool, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found: dict[int, int] = {}
    for line in answer.stdout.splitlines():
        pid, _, mib = (part.strip() for part in line.partition(","))
        if pid.isdigit() and mib.isdigit():  # in a container it may be [N/A]
            found[int(pid)] = found.get(int(pid), 0) + int(mib) * MIB
    return found
