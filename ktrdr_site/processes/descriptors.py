"""The open files that a forked process inherits."""

import os
from contextlib import suppress


def detach_all_but(kept: set[int]) -> None:
    """Let all other descriptors that this process has inherited lead nowhere.

    They are not closed: an object of a library may own one and close its number later, which another file would have.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - kept - {null}:
        with suppress(OSError):  # the descriptor of the list itself
            os.fstat(descriptor)
            os.dup2(null, descriptor, inheritable=False)
    os.close(null)
