"""How many threads of a web process may wait: for a change of an operation, or for a worker's answer.

A web process has eight threads for pages. Half of them never wait, so the site responds however many clients watch
operations, and however many workers hang.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST, MOST_LONG = 4, 3
"""Waiting threads, and those of them that wait for longer than a second: a place for short waits always becomes free."""

_places = threading.BoundedSemaphore(MOST)
_long_places = threading.BoundedSemaphore(MOST_LONG)
_own = threading.local()


@contextmanager
def short_wait() -> Iterator[bool]:
    """Take a place for a wait of a second at most, and yield whether one was free. Inside a long wait it needs none."""
    if getattr(_own, "has_place", False):
        yield True
        return
    with _place(_places) as is_free:
        yield is_free


@contextmanager
def long_wait() -> Iterator[bool]:
    """Take a place for a long wait, and yield whether one was free."""
    with _place(_long_places) as is_long_free:
        if not is_long_free:
            yield False
            return
        with short_wait() as is_free:
            _own.has_place = is_free
            try:
                yield is_free
            finally:
                _own.has_place = False


@contextmanager
def _place(places: threading.BoundedSemaphore) -> Iterator[bool]:
    is_free = places.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            places.release()
