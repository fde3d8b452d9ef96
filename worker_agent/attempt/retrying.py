"""Calls to the backend that an attempt repeats a few times before its job starts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError, Unauthorized
from worker_agent.protocol import LogLevel

MAX_TRIES = 3
PAUSE_S = 1.0
Result = TypeVar("Result")


async def fetch_with_retries(
    fetch: Callable[[], Awaitable[Result]],
    what: str,
    final: tuple[type[BackendError], ...],
    record: AttemptRecord,
    services: Services,
) -> Result:
    """Return the result of `fetch`. Raises `final` at once, and other BackendErrors after several tries."""
    tries = 0
    while True:
        try:
            return await fetch()
        except final:
            raise
        except BackendError as error:
            tries += 1
            if tries == MAX_TRIES:
                raise
            if isinstance(error, Unauthorized):
                await services.registrar.register_again()
            record.add_log(f"Could not fetch the {what}; trying again: {error}", LogLevel.WARNING)
            await asyncio.sleep(PAUSE_S)
