"""Sends operations to workers, for ever. Any number may run."""

import asyncio
import signal
import threading
from argparse import ArgumentParser
from typing import Any

import psycopg
import structlog
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from operations.dispatching.dispatcher import Dispatcher, db
from operations.dispatching.listening import Listener

log = structlog.get_logger(__name__)
PAUSE_AFTER_FAILURE_S = 1.0
STOP_LOOK_S = 0.1


def disconnect() -> None:
    """`connection` means the calling thread's own: it is looked up here, not where the call is made."""
    connection.close()


class Command(BaseCommand):
    help = "Sends operations to workers: at once when one is submitted or a worker becomes free, and every few seconds anyway."
    requires_system_checks = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=float, default=2.0, help="seconds between rounds that nothing woke"
        )

    def handle(self, *args: Any, interval: float, **options: Any) -> None:
        # Handlers belong to the main thread; the loop runs in another.
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        async_to_sync(self.run)(interval, asked)

    async def run(self, interval: float, asked: threading.Event) -> None:
        log.info("dispatching")
        async with Dispatcher() as dispatcher:
            stopped = asyncio.create_task(self._stopped(asked))
            while not stopped.done():
                work = asyncio.create_task(self._until_failure(dispatcher, interval))
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        await db(disconnect)

    async def _stopped(self, asked: threading.Event) -> None:
        while not asked.is_set():
            await asyncio.sleep(STOP_LOOK_S)

    async def _until_failure(self, dispatcher: Dispatcher, interval: float) -> None:
        """Rounds, until the database fails: it may be away for an hour, and all that counts stands in it."""
        try:
            async with Listener() as listener:
                while True:
                    await dispatcher.round()
                    await listener.wait(interval)
        except (DatabaseError, psycopg.Error, OSError, TimeoutError) as error:
            log.warning("the database does not answer; trying again", reason=str(error))
            await db(disconnect)
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
