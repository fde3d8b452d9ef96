"""An event loop beside the test, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

RESULT_WITHIN_S = 20

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def side_loop() -> Iterator[Run]:
    """Yield a function that runs a coroutine in the loop and returns its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(RESULT_WITHIN_S)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
