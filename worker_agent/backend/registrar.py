"""Keep the agent registered: at its start, when a token is rejected, and when the backend stops checking its health."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from worker_agent.backend.backoff import jitter
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError, Refused, TooBusy, Unauthorized
from worker_agent.protocol import Registration, RegistrationAnswer

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
LONGEST_PAUSE_UNAUTHORIZED_S = 60.0
MAX_SILENT_INTERVALS = 3
"""Health intervals without an authorised check after which the agent registers again."""


@dataclass(slots=True)
class Registrar:
    client: BackendClient
    create_message: Callable[[], Registration]
    on_registered: Callable[[Registration, RegistrationAnswer], None]
    health_interval_s: float = 10.0
    registered: bool = False
    heard_at: float = field(default_factory=time.monotonic)
    """When the backend last made an authorised call or accepted a registration."""
    _requested: asyncio.Event = field(default_factory=asyncio.Event)
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _logged_problem: str = ""
    _logged_warning: str = ""

    def heard_from_backend(self) -> None:
        self.heard_at = time.monotonic()

    @property
    def silence_s(self) -> float:
        return time.monotonic() - self.heard_at

    async def register_again(self) -> None:
        """Request a registration, because a token was rejected, and wait until it is done."""
        self._done.clear()
        self._requested.set()
        await self._done.wait()

    async def run(self) -> None:
        """Register now, and again whenever that is needed. Never returns."""
        while True:
            await self._register()
            self._requested.clear()
            while not self._requested.is_set() and not self._backend_is_silent():
                try:
                    await asyncio.wait_for(self._requested.wait(), self.health_interval_s / 2)
                except TimeoutError:
                    continue

    def _backend_is_silent(self) -> bool:
        return self.silence_s > MAX_SILENT_INTERVALS * self.health_interval_s

    async def _register(self) -> None:
        """Try until the backend accepts the registration."""
        tries = 0
        while True:
            message = self.create_message()
            try:
                answer = await self.client.register(message)
            except TooBusy as error:
                pause = error.retry_after_s + jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            except Unauthorized as error:
                self._warn_once(
                    f"the backend does not accept the enrolment token (KTRDR_WORKER_TOKEN): {error}"
                )
                pause = jitter(tries, 2 * FIRST_PAUSE_S, LONGEST_PAUSE_UNAUTHORIZED_S)
            except Refused as error:
                self._warn_once(f"the backend refuses this worker: {error}")
                pause = jitter(tries, 2 * FIRST_PAUSE_S, LONGEST_PAUSE_S)
            except BackendError as error:
                self._warn_once(f"cannot register yet: {error}")
                pause = jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            else:
                break
            await asyncio.sleep(pause)
            tries += 1
        self._accept(message, answer)

    def _accept(self, message: Registration, answer: RegistrationAnswer) -> None:
        if not self.registered or self._logged_problem:
            log.info("registered with %s as %s", self.client.url, answer.worker_id)
        if answer.warning and answer.warning != self._logged_warning:
            log.warning("%s will assign no new work: %s", self.client.url, answer.warning)
        self._logged_warning = answer.warning
        self._logged_problem = ""
        self.registered = True
        self.client.worker_token = answer.worker_token
        self.health_interval_s = answer.health_interval_s
        self.heard_from_backend()
        self.on_registered(message, answer)
        self._done.set()

    def _warn_once(self, problem: str) -> None:
        """Log a problem when it appears, not at every try."""
        if problem != self._logged_problem:
            log.warning("%s", problem)
            self._logged_problem = problem
