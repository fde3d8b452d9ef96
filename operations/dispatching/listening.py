"""A dispatcher's own database session, which wakes it and shows that it is alive."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import psycopg
from django.db import connection
from psycopg.abc import Params

from operations.dispatching.heartbeat import LOCK_KEY
from registry.dispatch_channel import CHANNEL

SIGN_INTERVAL_S = 1.0
"""Between two statements that show that the rounds go on (`heartbeat`); rounds may follow one another much faster."""


class Listener:
    """`async with Listener() as listener:` then `await listener.wait(2.0)` after each round."""

    def __init__(self) -> None:
        self._session: psycopg.AsyncConnection[Any]
        self._sign_due = 0.0

    async def __aenter__(self) -> Self:
        parameters = {
            name: value
            for name, value in connection.get_connection_params().items()
            if name not in ("cursor_factory", "context", "prepare_threshold")
        }
        self._session = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        await self._execute("SELECT set_config('application_name', 'ktrdr dispatcher', false)")
        await self._execute("SELECT pg_advisory_lock_shared(%s)", [LOCK_KEY])
        await self._execute(f'LISTEN "{CHANNEL}"')
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a notification or the timeout; return whether one arrived. Raises psycopg.OperationalError.

        Several notifications count as one: the following round sees everything that was committed.
        """
        if time.monotonic() >= self._sign_due:
            await self._execute("SELECT 1")
            self._sign_due = time.monotonic() + SIGN_INTERVAL_S
        is_notified = False
        async for _ in self._session.notifies(timeout=timeout_s, stop_after=1):
            is_notified = True
        return is_notified

    async def _execute(self, statement: str, parameters: Params = ()) -> None:
        async with asyncio.timeout(10):
            await self._session.execute(statement.encode(), parameters)
