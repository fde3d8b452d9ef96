"""The present speed of the machine, so that a time limit in a test means the same on a loaded machine and on an idle one."""

import asyncio
import subprocess
import sys
import time

SAMPLE = "total = 0\nfor number in range(700_000): total += number * number"
IDLE_SAMPLE_S = 0.1
"""Duration of a sample on an idle machine with two cores. The limits in the tests were chosen for that machine."""
VALID_S = 3.0
"""Load changes, so a sample is reused for a short time only."""
LONGEST_STEP_S = 10.0
SHORTEST_STEP_S = 0.2

_latest: tuple[float, float] | None = None


def slowness() -> float:
    """Return how many times slower than an idle machine this one is now, at least 1.

    A sample is the start of a process that computes for a while: the time for both grows with the load.
    """
    global _latest
    if _latest is None or time.monotonic() - _latest[0] > VALID_S:
        measured = sample()
        _latest = time.monotonic(), measured
    return _latest[1]


def sample() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", SAMPLE], check=True)
    return max(1.0, (time.monotonic() - started) / IDLE_SAMPLE_S)


def stretched(seconds: float) -> float:
    """Return the limit that corresponds to `seconds` of an idle machine."""
    return seconds * slowness()


class TimeLimit:
    """A limit in seconds of an idle machine: while the machine is loaded, it is used up more slowly."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started = time.monotonic()
        self._left_s = seconds
        self._counted_until = self.started

    @property
    def elapsed_s(self) -> float:
        """Real seconds since the start."""
        return time.monotonic() - self.started

    def has_passed(self) -> bool:
        """Whether the limit is used up. Takes a sample every few seconds, and before it answers yes."""
        now = time.monotonic()
        step_s = now - self._counted_until
        if step_s < min(LONGEST_STEP_S, max(self._left_s, SHORTEST_STEP_S)):
            return False
        self._left_s -= step_s / slowness()
        self._counted_until = now
        return self._left_s <= 0

    async def has_passed_async(self) -> bool:
        """Like `has_passed`, without blocking the event loop."""
        return await asyncio.to_thread(self.has_passed)
