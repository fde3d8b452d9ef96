"""How late the event loop wakes: what an answer of `/health` had to wait at least."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

EVERY_S = 0.25
KEPT = 120
"""Looks of the last half minute."""


@dataclass(slots=True)
class LoopLag:
    _looks: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def worst_s(self) -> float:
        return max(self._looks, default=0.0)

    async def watch(self) -> None:
        """For ever."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(EVERY_S)
            self._looks.append(max(0.0, time.monotonic() - before - EVERY_S))
