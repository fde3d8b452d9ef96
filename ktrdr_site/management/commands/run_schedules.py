"""Runs the schedules (health sweep, cleanup) until stopped. Several may run; one leads."""

from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from access.database_limits import limit_statements
from access.stop_signals import stop_on_signals
from ktrdr_site.schedules import TICK_S, Leader

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Run the schedules: the health sweep, the cleanup and the task cluster that executes them."
    requires_system_checks = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run only one tick of the scheduler")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        limit_statements()
        stop = stop_on_signals()
        leader = Leader()
        try:
            while not stop.is_set():
                self._tick(leader)
                if once:
                    return
                stop.wait(TICK_S)
        finally:
            leader.stop()

    def _tick(self, leader: Leader) -> None:
        """Tick once. The database may be down for an hour: all state is in it."""
        try:
            leader.tick()
        except DatabaseError as error:
            log.warning("the database does not answer; trying again", reason=" ".join(str(error).split()))
            connection.close()
