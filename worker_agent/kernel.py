"""What Linux offers to find and end every process of a job; elsewhere each call does nothing and says so."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    answer: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return answer == 0


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when its parent ends; ends it at once where `parent` is gone already."""
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> bool:
    """Descendants whose parent died become children of this process, whatever session they went to."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory: in this control group, else on this machine."""
    return _count(_own_cgroup() / "memory.events", "oom_kill") + _count(Path("/proc/vmstat"), "oom_kill")


def _own_cgroup() -> Path:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return Path("/nonexistent")
    for line in lines:
        if line.startswith("0::"):
            return Path("/sys/fs/cgroup") / line.removeprefix("0::").lstrip("/")
    return Path("/nonexistent")


def _count(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0
