"""The end of commands that run until a signal stops them."""

import _thread
import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on. Only the main thread may set signal handlers."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A handler runs within whatever the main thread does, which may be a call of this event that holds its lock.
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop
