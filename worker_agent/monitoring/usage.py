"""The processor time, memory and GPU memory of a process tree."""

from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float
    """Including processes that have ended and were waited for."""
    resident_bytes: int
    processes: int
    gpu_bytes: int | None = None
    """None if unknown."""


def measure_tree(pid: int | None, gpu_bytes_by_pid: dict[int, int] | None = None) -> Usage | None:
    """Measure a process and its descendants; return None if the process does not exist."""
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
    gpu = (
        None if gpu_bytes_by_pid is None else sum(gpu_bytes_by_pid.get(process.pid, 0) for process in family)
    )
    return Usage(cpu, resident, len(family), gpu)
