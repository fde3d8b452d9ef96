"""Waiting for what happens in another process: it cannot be awaited, and so it is looked for again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_S = 0.03


def until(
    condition: Callable[[], T], what: str, timeout_s: float = 30.0, explain: Callable[[], object] = str
) -> T:
    """The first true value of `condition`. Fails the test after `timeout_s`, with what `explain` says then."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {what}\n{explain()}"
        time.sleep(LOOK_EVERY_S)
    return value
