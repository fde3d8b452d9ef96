"""Keeps the agent registered: at its start, when its tokens are refused, and when nobody asks for its health."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from worker_agent.client import BackendClient, BackendError, Refused, TooBusy, Unauthorized
from worker_agent.protocol import Registration, RegistrationAnswer
from worker_agent.reports import jitter

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
LONGEST_PAUSE_UNAUTHORIZED_S = 60.0
SILENCE = 3
"""Health intervals without an authorised check after which the agent registers again."""


@dataclass(slots=True)
class Registrar:
    client: BackendClient
    message: Callable[[], Registration]
    on_answer: Callable[[RegistrationAnswer], None]
    health_interval_s: float = 10.0
    registered: bool = False
    heard: float = field(default_factory=time.monotonic)
    """When the backend last showed that it knows us."""
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _said: str = ""
    _warned: str = ""

    def heard_from_backend(self) -> None:
        self.heard = time.monotonic()

    @property
    def silence_s(self) -> float:
        return time.monotonic() - self.heard

    async def again(self) -> None:
        """A token was refused: registers anew, and returns when that is done."""
        self._done.clear()
        self._wanted.set()
        await self._done.wait()

    async def keep(self) -> None:
        """For ever."""
        while True:
            await self._register()
            self._wanted.clear()
            while not self._wanted.is_set() and not self._silent():
                try:
                    await asyncio.wait_for(self._wanted.wait(), self.health_interval_s / 2)
                except TimeoutError:
                    continue

    def _silent(self) -> bool:
        return self.silence_s > SILENCE * self.health_interval_s

    async def _register(self) -> None:
        tries = 0
        while True:
            try:
                answer = await self.client.register(self.message())
            except TooBusy as error:
                pause = error.retry_after_s + jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            except Unauthorized as error:
                self._say(f"the backend does not accept the enrolment token (KTRDR_WORKER_TOKEN): {error}")
                pause = jitter(tries, 2 * FIRST_PAUSE_S, LONGEST_PAUSE_UNAUTHORIZED_S)
            except Refused as error:
                self._say(f"the backend refuses this worker: {error}")
                pause = jitter(tries, 2 * FIRST_PAUSE_S, LONGEST_PAUSE_S)
            except BackendError as error:
                self._say(f"cannot register yet: {error}")
                pause = jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            else:
                break
            await asyncio.sleep(pause)
            tries += 1
        if not self.registered or self._said:
            log.info("registered with %s as %s", self.client.url, answer.worker_id)
        if answer.warning and answer.warning != self._warned:
            log.warning("no new work will come from %s: %s", self.client.url, answer.warning)
        self._warned = answer.warning
        self._said = ""
        self.registered = True
        self.client.worker_token = answer.worker_token
        self.health_interval_s = answer.health_interval_s
        self.heard_from_backend()
        self.on_answer(answer)
        self._done.set()

    def _say(self, problem: str) -> None:
        """Once, not at every try."""
        if problem != self._said:
            log.warning("%s", problem)
            self._said = problem
