"""A trial leaves nothing behind: no process, mount, network namespace, interface or control group."""

import ctypes
import os
import re
from contextlib import suppress
from pathlib import Path

from tests.deployments.command import TrialFailed, wait_for
from tests.deployments.control_groups import groups
from tests.faults.machines import NAMESPACES

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every process that its descendants leave behind."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def require_nothing_left(interfaces_before: set[str]) -> None:
    """Raises TrialFailed. All names and directories of a trial contain this process's number."""
    with suppress(TrialFailed):
        wait_for(lambda: not _processes(), "the last processes have ended", 10)
    mark = f"-{os.getpid()}"
    left = {
        "processes": _processes(),
        "mounts": [line for line in _mounts() if re.search(rf"{mark}\b", line)],
        "network namespaces": [path.name for path in NAMESPACES.glob(f"*{mark}")],
        "interfaces": sorted(interfaces() - interfaces_before),
        "control groups": [str(path) for path in groups(f"*{mark}")],
    }
    if found := {what: names for what, names in left.items() if names}:
        raise TrialFailed(f"left behind: {found}")


def _processes() -> list[str]:
    """Collect the exit status of ended children; return the others."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    numbers = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    commands = [Path(f"/proc/{number}/cmdline") for number in numbers]
    return [path.read_text().replace("\0", " ") for path in commands if path.exists()]


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()
