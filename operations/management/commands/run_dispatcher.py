"""Run a dispatcher until it is stopped. Any number may run."""

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
    """Close the connection of the thread that runs this: `connection` is thread-local."""
    connection.close()


class Command(BaseCommand):
    help = "Assign operations to workers: immediately when one is submitted or a worker becomes free, and every few seconds."
    requires_system_checks = []  # they would load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--interval", type=float, default=2.0, help="maximum seconds between two rounds")

    def handle(self, *args: Any, interval: float, **options: Any) -> None:
        # Signal handlers must be set in the main thread; the loop runs in another.
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        async_to_sync(self.run)(interval, stop)

    async def run(self, interval: float, stop: threading.Event) -> None:
        log.info("dispatching")
        async with Dispatcher() as dispatcher:
            stopped = asyncio.create_task(self._wait_for(stop))
            while not stopped.done():
                work = asyncio.create_task(self._run_rounds(dispatcher, interval))
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        await db(disconnect)

    async def _wait_for(self, stop: threading.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(STOP_LOOK_S)

    async def _run_rounds(self, dispatcher: Dispatcher, interval: float) -> None:
        """Run rounds until the database fails. The caller retries: all state is in the database, which may be away for long."""
        try:
            async with Listener() as listener:
                while True:
                    await dispatcher.round()
                    await listener.wait(interval)
        except (DatabaseError, psycopg.Error, OSError, TimeoutError) as error:
            log.warning("the database does not answer; trying again", reason=str(error))
            await db(disconnect)
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
