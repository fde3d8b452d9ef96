"""Ends a child with its parent, even when the parent is killed (Linux; other systems cover only orderly stops)."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals, parent: int | None = None) -> Callable[[], None]:
    """Return a `preexec_fn` after which the kernel sends `number` to the child when its parent ends.

    The parent is this process unless its pid is given. Call it after any change of user, which clears the setting.
    """
    parent = parent or os.getpid()
    # Loaded here: between fork and exec nothing may be imported or located.
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def bind() -> None:
        if library is None:
            return
        library.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before prctl took effect
            os._exit(1)

    return bind
