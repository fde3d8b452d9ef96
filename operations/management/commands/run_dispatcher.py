"""Sends operations to workers, for ever. Any number may run."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

import psycopg
import structlog
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from operations.dispatch import Dispatcher, db
from operations.listening import Listener

log = structlog.get_logger(__name__)
PAUSE_AFTER_FAILURE_S = 1.0


class Command(BaseCommand):
    help = "Sends operations to workers: at once when one is submitted or a worker becomes free, and every few seconds anyway."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=float, default=2.0, help="seconds between rounds that nothing woke"
        )

    def handle(self, *args: Any, interval: float, **options: Any) -> None:
        async_to_sync(self.run)(interval)

    async def run(self, interval: float) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # This runs in the main thread, the loop in another.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        self.stdout.write("dispatching")
        async with Dispatcher() as dispatcher:
            stopped = asyncio.create_task(stop.wait())
            while not stop.is_set():
                work = asyncio.create_task(self._until_failure(dispatcher, interval))
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        await db(connection.close)

    async def _until_failure(self, dispatcher: Dispatcher, interval: float) -> None:
        """Rounds, until the database fails: it may be away for an hour, and all that counts stands in it."""
        try:
            async with Listener() as listener:
                while True:
                    await dispatcher.round()
                    await listener.wait(interval)
        except (DatabaseError, psycopg.Error, OSError, TimeoutError) as error:
            log.warning("the database does not answer; trying again", reason=str(error))
            await db(connection.close)
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
