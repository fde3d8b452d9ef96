"""Measure how late the event loop wakes up: the least time that a response to `/health` had to wait."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

INTERVAL_S = 0.25
MAX_SAMPLES = 120
"""Of the last half minute."""


@dataclass(slots=True)
class LoopLag:
    _samples: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))

    @property
    def worst_s(self) -> float:
        return max(self._samples, default=0.0)

    async def watch(self) -> None:
        """Sample the lag. Never returns."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(INTERVAL_S)
            self._samples.append(max(0.0, time.monotonic() - before - INTERVAL_S))
