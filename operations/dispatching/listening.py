"""A dispatcher's own session with the database: it is woken through it, and known by it to be alive."""

import asyncio
from types import TracebackType
from typing import Any, Self

import psycopg
from django.db import connection
from psycopg.abc import Params

from operations.dispatching.heartbeat import LOCK_KEY
from registry.notify import CHANNEL


class Listener:
    """`async with Listener() as listener:` then `await listener.wait(2.0)` after each round."""

    def __init__(self) -> None:
        self._session: psycopg.AsyncConnection[Any]

    async def __aenter__(self) -> Self:
        parameters = {
            name: value
            for name, value in connection.get_connection_params().items()
            if name not in ("cursor_factory", "context", "prepare_threshold")
        }
        self._session = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        await self._say("SELECT set_config('application_name', 'ktrdr dispatcher', false)")
        await self._say("SELECT pg_advisory_lock_shared(%s)", [LOCK_KEY])
        await self._say(f'LISTEN "{CHANNEL}"')
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def wait(self, timeout_s: float) -> bool:
        """Until something is notified, or the time is over; returns whether it was. Raises psycopg.OperationalError.

        However often that was meanwhile, it is heard once: the round that follows sees all that was committed.
        """
        await self._say("SELECT 1")
        heard = False
        async for _ in self._session.notifies(timeout=timeout_s, stop_after=1):
            heard = True
        return heard

    async def _say(self, statement: str, parameters: Params = ()) -> None:
        async with asyncio.timeout(10):
            await self._session.execute(statement.encode(), parameters)
