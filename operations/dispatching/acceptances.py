"""Records that workers have accepted their attempts: together with those that arrive while the database is busy."""

import asyncio
import contextvars
from dataclasses import dataclass
from operator import attrgetter

from asgiref.sync import sync_to_async

from access.isolation import is_database_trouble
from operations import attempts
from operations.actors import DISPATCHER

MAX_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Acceptance:
    operation_id: str
    attempt: int
    stored: "asyncio.Future[None]"


class Acceptances:
    """Of one dispatcher."""

    def __init__(self) -> None:
        self._waiting: list[Acceptance] = []
        self._writer: asyncio.Task[None] | None = None
        # Without the log keys of the operation whose task starts the writer.
        self._context = contextvars.copy_context()

    async def store(self, operation_id: str, attempt: int) -> None:
        """Return when the acceptance is stored. Raises what the database raises for it."""
        acceptance = Acceptance(operation_id, attempt, asyncio.get_running_loop().create_future())
        self._waiting.append(acceptance)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), context=self._context.copy())
        await acceptance.stored

    async def _write(self) -> None:
        """Store what waits, together."""
        try:
            while self._waiting:
                part, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                await self._settle(part)
        finally:
            self._writer = None

    async def _settle(self, part: list[Acceptance]) -> None:
        """Store a part; if that raises for several, store one after the other, so that one defect harms only itself."""
        try:
            await _store(part)
        except Exception as error:
            if len(part) > 1 and not is_database_trouble(error):
                for acceptance in part:
                    await self._settle([acceptance])
                return
            for acceptance in part:
                if not acceptance.stored.done():
                    acceptance.stored.set_exception(error)


async def _store(part: list[Acceptance]) -> None:
    # Of two attempts of an operation only the newer one can be its current one.
    in_order = sorted(part, key=attrgetter("attempt"))
    started = {acceptance.operation_id: acceptance.attempt for acceptance in in_order}
    await sync_to_async(attempts.accept_all, thread_sensitive=True)(started, DISPATCHER)
    for acceptance in part:
        if not acceptance.stored.done():
            acceptance.stored.set_result(None)
