"""The connections of one client: how many there are, and which are kept open for the next call to their worker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from registry.checked_connections import Origin, connect
from registry.http_connection import HttpConnection, Received

CLOSES_WITHIN_S = 1.0


@dataclass(slots=True, eq=False)
class ConnectionPool:
    """At most `limit` connections at a time; each is kept for `keepalive_s` after a call, with 0 it is closed."""

    limit: int
    keepalive_s: float
    timeout_s: float
    """Of one attempt to connect."""
    _idle: dict[Origin, dict[HttpConnection, asyncio.TimerHandle]] = field(default_factory=dict)
    _open: set[HttpConnection] = field(default_factory=set)
    """With those that are being closed."""
    _calls: int = 0
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.limit)

    async def exchange(self, origin: Origin, request: Sequence[h11.Event], max_bytes: int) -> Received:
        """Send the request over a kept connection or a new one. Raises WorkerRefused, WorkerUncertain, WorkerMisbehaved."""
        async with self._slots:
            self._calls += 1
            try:
                return await self._exchange(origin, request, max_bytes)
            finally:
                self._calls -= 1

    async def close(self) -> None:
        for connection in self._open:
            connection.abort()
        if self._open:
            await asyncio.wait([connection.closed for connection in self._open], timeout=CLOSES_WITHIN_S)

    async def _exchange(self, origin: Origin, request: Sequence[h11.Event], max_bytes: int) -> Received:
        connection = self._take(origin) or await self._connect(origin)
        try:
            received = await connection.exchange(request, max_bytes)
        except BaseException:
            connection.abort()
            raise
        self._keep(origin, connection)
        return received

    def _take(self, origin: Origin) -> HttpConnection | None:
        kept = self._idle.pop(origin, {})
        while kept:
            connection, expiry = kept.popitem()
            expiry.cancel()
            if connection.is_reusable() and connection.is_silent():
                if kept:
                    self._idle[origin] = kept
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin) -> HttpConnection:
        if self._calls + sum(map(len, self._idle.values())) > self.limit:
            # Another worker's kept connection gives way.
            other, kept = next(iter(self._idle.items()))
            self._expire(other, next(iter(kept)))
        connection = await connect(origin, self.timeout_s)
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _keep(self, origin: Origin, connection: HttpConnection) -> None:
        if not self.keepalive_s or not connection.is_reusable():
            connection.close()
            return
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(self.keepalive_s, self._expire, origin, connection)
        self._idle.setdefault(origin, {})[connection] = expiry

    def _expire(self, origin: Origin, connection: HttpConnection) -> None:
        kept = self._idle[origin]
        kept.pop(connection).cancel()
        if not kept:
            del self._idle[origin]
        connection.close()
