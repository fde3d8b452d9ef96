"""Calls to workers by threads that answer requests: such a thread waits for half a second at most.

The calls run on an event loop of the process, in a thread of its own. Whatever a call does (a host name that does not
resolve, a response that arrives byte by byte), the thread that made it continues when its time is over.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from registry.worker_errors import WorkerUncertain

P = ParamSpec("P")
T = TypeVar("T")
WAIT_S = 0.5

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""By process id: a forked process has the loop of its parent, but not the thread that runs it."""


def call(function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of the coroutine function. Raises what it raises, and WorkerUncertain after WAIT_S."""
    future = asyncio.run_coroutine_threadsafe(function(*args, **kwargs), _running_loop())
    try:
        return future.result(WAIT_S)
    except TimeoutError as error:
        future.cancel()
        raise WorkerUncertain(f"no response within {WAIT_S:g} s") from error


def _running_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        process = os.getpid()
        if process not in _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="calls to workers", daemon=True).start()
            _loops.clear()
            _loops[process] = loop
        return _loops[process]
