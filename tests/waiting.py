"""Waiting for what happens in another process: it cannot be awaited, and so it is looked for again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.25
"""Between two looks, growing: a look is a request, and a hundred a second would be most of what the machine does."""


def until(
    condition: Callable[[], T], what: str, timeout_s: float = 30.0, explain: Callable[[], object] = str
) -> T:
    """The first true value of `condition`. Fails the test after `timeout_s`, with what `explain` says then."""
    deadline, pause_s = time.monotonic() + timeout_s, SHORTEST_PAUSE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {what}\n{explain()}"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, LONGEST_PAUSE_S)
    return value
