"""Linux system calls and files for process supervision; on other systems they have no effect."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    status: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return status == 0


def die_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have this process signalled when its parent ends; exit at once if `parent` has already ended."""
    if _prctl(PR_SET_PDEATHSIG, number) and os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> bool:
    """Make this process the new parent of descendants whose parent ends, whatever their session."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def out_of_memory_kills() -> int:
    """Count the processes that the Linux kernel has killed for lack of memory, in this control group and on this machine.

    Only differences between two calls are meaningful: a kill in the control group counts twice.
    """
    return _read_counter(_own_cgroup() / "memory.events", "oom_kill") + _read_counter(
        Path("/proc/vmstat"), "oom_kill"
    )


def _own_cgroup() -> Path:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return Path("/nonexistent")
    for line in lines:
        if line.startswith("0::"):
            return Path("/sys/fs/cgroup") / line.removeprefix("0::").lstrip("/")
    return Path("/nonexistent")


def _read_counter(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0
