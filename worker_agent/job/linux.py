"""Linux system calls and files for process supervision; on other systems they have no effect."""

import ctypes
import os
import signal
import struct
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CAPABILITY_VERSION = 0x20080522
"""Of the header of capset(2) with two sets of three words."""


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


def forbid_new_privileges() -> bool:
    """Take the effect of setuid bits and file capabilities from this process and its descendants."""
    return _prctl(PR_SET_NO_NEW_PRIVS, 1)


def allow_inspection() -> bool:
    """Give this process its own files in /proc, which a change of the user takes away."""
    return _prctl(PR_SET_DUMPABLE, 1)


def capabilities() -> int:
    """Return the permitted capabilities of this process as bits."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("CapPrm:")[2].split(maxsplit=1)[0], 16)


def drop_capabilities() -> None:
    """Drop all capabilities, also those that a change between two users other than root keeps. Raises OSError."""
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.capset(header, bytes(24)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


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
