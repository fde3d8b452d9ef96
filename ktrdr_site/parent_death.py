"""A child that does not outlive its parent, also when the parent is killed (Linux; elsewhere only orderly stops are covered)."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`, after any change of user, which clears it: the kernel sends `number` when the parent ends."""
    parent = os.getpid()
    # Loaded here: between fork and exec nothing may be imported or located.
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def bind() -> None:
        if library is None:
            return
        library.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before the kernel knew
            os._exit(1)

    return bind
