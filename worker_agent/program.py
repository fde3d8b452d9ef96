"""The first steps of each program of the product: it keeps its files and its output harmless, and its secrets to itself."""

import ctypes
import os
import sys

from worker_agent.visible_text import protect_streams

PRIVATE = 0o077
"""The file mode mask: whatever is created belongs to this user only."""
PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Call it before anything is created, read or printed."""
    os.umask(PRIVATE)
    protect_streams()


def forbid_inspection() -> None:
    """Refuse other processes of the same user this one's memory and environment (Linux; root may still read both)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def take_secret(name: str) -> str:
    """Return the variable and remove it: processes started later do not get it.

    `/proc/PID/environ` shows the memory that the kernel filled at the start, whatever is unset later, so that memory
    is overwritten too.
    """
    value = os.environ.get(name, "")
    if value and sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.getenv.restype = ctypes.c_void_p
        address = library.getenv(name.encode())
        if address:
            ctypes.memset(address, 0, len(os.fsencode(value)))
    os.environ.pop(name, None)
    return value
