"""Run a dispatcher until it is stopped. Any number may run."""

import asyncio
import threading
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand
from django.db import connection

from access.database_limits import limit_statements
from access.isolation import is_database_trouble
from access.stop_signals import stop_on_signals
from operations.dispatching.dispatcher import Dispatcher, db
from operations.dispatching.listening import Listener

log = structlog.get_logger(__name__)
PAUSE_AFTER_FAILURE_S, LONGEST_PAUSE_S = 1.0, 30.0
STOP_LOOK_S = 0.1
ROUND_INTERVAL_S = 0.005
"""Between the starts of two rounds. What arrives meanwhile shares the next one; after a pause, a round starts at once."""


def disconnect() -> None:
    """Close the connection of the thread that runs this: `connection` is thread-local."""
    connection.close()


class Command(BaseCommand):
    help = "Assign operations to workers: immediately when one is submitted or a worker becomes free, and every few seconds."
    requires_system_checks = []  # they would load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--interval", type=float, default=2.0, help="maximum seconds between two rounds")

    def handle(self, *args: Any, interval: float, **options: Any) -> None:
        limit_statements()
        # Before the loop, which runs in another thread.
        stop = stop_on_signals()
        async_to_sync(self.run)(interval, stop)

    async def run(self, interval: float, stop: threading.Event) -> None:
        log.info("dispatching")
        async with Dispatcher() as dispatcher:
            stopped = asyncio.create_task(self._wait_for(stop))
            work = asyncio.create_task(run_rounds(dispatcher, interval))
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        await db(disconnect)

    async def _wait_for(self, stop: threading.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(STOP_LOOK_S)


async def run_rounds(dispatcher: Dispatcher, interval: float) -> None:
    """Run rounds until cancelled, whatever fails: all state is in the database, which may be away for long."""
    failures = 0
    while True:
        try:
            async with Listener() as listener:
                while True:
                    next_round = time.monotonic() + ROUND_INTERVAL_S
                    await dispatcher.round()
                    failures = 0
                    await listener.wait(interval)
                    await asyncio.sleep(max(0.0, next_round - time.monotonic()))
        except Exception as error:
            if _is_outage(error):
                log.warning("the database does not answer; trying again", reason=str(error))
            else:
                failures += 1
                log.exception("a round of dispatching failed; trying again", failures=failures)
        await db(disconnect)
        await asyncio.sleep(min(PAUSE_AFTER_FAILURE_S * 2 ** max(0, failures - 1), LONGEST_PAUSE_S))


def _is_outage(error: Exception) -> bool:
    """Return whether the database or the network to it is away, as opposed to a defect."""
    outages = (OSError, TimeoutError, psycopg.OperationalError, psycopg.InterfaceError)
    return isinstance(error, outages) or is_database_trouble(error)
