"""Runs the studies until stopped: proposes trials, submits batches, reports. Several may run; one leads."""

import threading
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from access.database_limits import limit_statements
from access.stop_signals import stop_on_signals
from studies.channel import wait_for_change
from studies.rounds import Leader

log = structlog.get_logger(__name__)
TICK_S = 1.0


class Command(BaseCommand):
    help = "Run the studies: propose trials, submit them in batches, and report when they have ended."
    requires_system_checks = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="advance every study only once")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        limit_statements()
        stop = stop_on_signals()
        leader = Leader()
        try:
            while not stop.is_set():
                is_more = self._tick(leader, stop)
                if once and not is_more:
                    return
        finally:
            leader.stop()

    def _tick(self, leader: Leader, stop: threading.Event) -> bool:
        """Advance the studies and wait for a change. The database may be down for an hour: all state is in it."""
        try:
            is_more = leader.tick()
            if not is_more and not stop.is_set():
                wait_for_change(TICK_S)
        except DatabaseError as error:
            log.warning("the database does not answer; trying again", reason=" ".join(str(error).split()))
            connection.close()
            stop.wait(TICK_S)
            return False
        return is_more
