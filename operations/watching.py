"""Long polls: a request that waits until an operation ends or changes.

A waiting request holds a thread of the web process and its database session, so only few may wait at a time; the others
are answered at once with `Retry-After`. When the web process is about to end, all of them are answered with what is known.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from access.leaving import LEAVING
from operations import progress, waiting_threads
from operations.models import Operation
from operations.states import FINAL

MAX_WAIT_S = 30
POLL_S = 0.25
MARKS = ("status", "attempt", "waiting_reason", "progress_updated_at", "title", "archived_at", "dismissed_at")
"""Columns that show a change."""

Marks = tuple[object, ...]
Pause = Callable[[float], object]


@contextmanager
def waiter() -> Iterator[bool]:
    """Take the place of one waiting request, and yield whether one was free."""
    with waiting_threads.long_wait() as is_free:
        yield is_free


def wait_until_ended(
    operation_id: str, seconds: float, pause: Pause = LEAVING.wait, *, poll_s: float = POLL_S
) -> None:
    """Return when the operation has ended or is gone, or after `seconds`."""
    statuses = Operation.objects.filter(pk=operation_id).values_list("status", flat=True)
    _wait(lambda: statuses.first() in (*FINAL, None), seconds, pause, poll_s)


def wait_until_changed(
    operation_id: str, marks: Marks | None, seconds: float, pause: Pause = LEAVING.wait
) -> None:
    """Return when the operation no longer has these marks, or after `seconds`. Its progress is kept up to date."""

    def has_changed() -> bool:
        operation = Operation.objects.filter(pk=operation_id).only("status", "attempt").first()
        if operation is not None:
            progress.refresh(operation)
        return marks_of(operation_id) != marks

    _wait(has_changed, seconds, pause)


def marks_of(operation_id: str) -> Marks | None:
    return Operation.objects.filter(pk=operation_id).values_list(*MARKS).first()


def _wait(is_reached: Callable[[], bool], seconds: float, pause: Pause, poll_s: float = POLL_S) -> None:
    ends = time.monotonic() + seconds
    while not is_reached() and not LEAVING.is_set() and (left := ends - time.monotonic()) > 0:
        pause(min(poll_s, left))
