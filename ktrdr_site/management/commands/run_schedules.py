"""Runs the schedules (health sweep, cleanup) until stopped. Several may run; one leads."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from access.database_limits import limit_statements
from ktrdr_site.schedules import TICK_S, Leader

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Run the schedules: the health sweep, the cleanup and the task cluster that executes them."
    requires_system_checks = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run only one tick of the scheduler")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        limit_statements()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        leader = Leader()
        try:
            while not stop.is_set():
                self._tick(leader)
                if once:
                    return
                stop.wait(TICK_S)
        finally:
            self._stop(leader)

    def _stop(self, leader: Leader) -> None:
        try:
            leader.stop()
        except DatabaseError as error:
            log.info("could not give the lead back; it expires", reason=" ".join(str(error).split()))

    def _tick(self, leader: Leader) -> None:
        """Tick once. The database may be down for an hour: all state is in it."""
        try:
            leader.tick()
        except DatabaseError as error:
            log.warning("the database does not answer; trying again", reason=" ".join(str(error).split()))
            connection.close()
